//! The only place that knows an HTTP status: every refusal as a code and one sentence in each language.

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::present::OrderError;
use crate::accounts::AccountError;
use crate::store::{EditError, EnrolError, StoreError};

/// A refusal.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    code: &'static str,
    zh: String,
    en: String,
    retry_after_s: Option<u64>,
}

/// A refusal as it is sent.
#[derive(Debug, Serialize, ToSchema)]
pub struct Refusal {
    pub error: RefusalDetail,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct RefusalDetail {
    /// Stable; for programs.
    pub code: &'static str,
    pub message_zh: String,
    pub message_en: String,
}

/// The result of a handler.
pub type Answer<T> = Result<T, ApiError>;

impl ApiError {
    pub fn new(status: StatusCode, code: &'static str, zh: impl Into<String>, en: impl Into<String>) -> ApiError {
        ApiError { status, code, zh: zh.into(), en: en.into(), retry_after_s: None }
    }

    /// There is none, or it is none of the caller's business: the answer is the same.
    pub fn not_found() -> ApiError {
        ApiError::new(StatusCode::NOT_FOUND, "not_found", "没有这个对象", "there is no such thing")
    }

    pub fn signed_out() -> ApiError {
        ApiError::new(StatusCode::UNAUTHORIZED, "signed_out", "请先登录", "sign in first")
    }

    pub fn forbidden() -> ApiError {
        ApiError::new(StatusCode::FORBIDDEN, "forbidden", "您的角色无权进行此操作", "your role may not do this")
    }

    pub fn wrong_origin() -> ApiError {
        ApiError::new(
            StatusCode::FORBIDDEN,
            "wrong_origin",
            "请求不是由本系统的页面发出:Origin 须与 Host 一致",
            "the request does not come from this system's pages: Origin must equal Host",
        )
    }

    pub fn invalid(zh: impl Into<String>, en: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", zh, en)
    }

    pub fn too_many(retry_after_s: u64) -> ApiError {
        ApiError {
            retry_after_s: Some(retry_after_s),
            ..ApiError::new(
                StatusCode::TOO_MANY_REQUESTS,
                "too_many_tries",
                format!("尝试次数过多,请在 {retry_after_s} 秒后重试"),
                format!("too many tries; try again in {retry_after_s} s"),
            )
        }
    }

    /// Something of ours failed: the log says what, the caller only that.
    pub fn internal(error: &(dyn std::error::Error + 'static)) -> ApiError {
        tracing::error!(error, "a request could not be answered");
        ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            "服务暂时不可用,请稍后重试",
            "the service is not available just now; try again",
        )
    }

    fn unreadable(en: String) -> ApiError {
        ApiError::new(StatusCode::BAD_REQUEST, "unreadable", format!("请求无法解析:{en}"), format!("the request cannot be read: {en}"))
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let detail = RefusalDetail { code: self.code, message_zh: self.zh, message_en: self.en };
        let mut response = (self.status, Json(Refusal { error: detail })).into_response();
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> ApiError {
        ApiError::internal(&error)
    }
}

impl From<EditError> for ApiError {
    fn from(error: EditError) -> ApiError {
        match error {
            EditError::Unknown(_) => ApiError::not_found(),
            EditError::CodeTaken(code) => ApiError::new(
                StatusCode::CONFLICT,
                "code_taken",
                format!("该企业已有编码为 {code} 的风险点"),
                format!("the enterprise already has a risk point with the code {code}"),
            ),
            EditError::Looser(looser) => ApiError::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "looser",
                format!("限值只可比规则包更严,不可更宽:{looser}"),
                looser.to_string(),
            ),
            EditError::Store(error) => error.into(),
        }
    }
}

impl From<EnrolError> for ApiError {
    fn from(error: EnrolError) -> ApiError {
        match error {
            EnrolError::BadCode => ApiError::new(
                StatusCode::FORBIDDEN,
                "bad_code",
                "接入码不存在、已使用或已过期",
                "the enrolment code is unknown, used or expired",
            ),
            EnrolError::BadGateway(_) => {
                ApiError::invalid("网关编号须为 1 至 32 位小写字母、数字或连字符", "a gateway id is 1 to 32 of a-z, 0-9 and -")
            }
            EnrolError::Store(error) => error.into(),
        }
    }
}

impl From<AccountError> for ApiError {
    fn from(error: AccountError) -> ApiError {
        let en = error.to_string();
        match error {
            AccountError::WrongPassword => ApiError::new(StatusCode::UNAUTHORIZED, "wrong_password", "用户名或密码错误", en),
            AccountError::TooManyTries { retry_after_s } => ApiError::too_many(retry_after_s),
            AccountError::BadPassword => ApiError::invalid("密码长度须为 12 至 1024 个字符", en),
            AccountError::SamePassword => ApiError::invalid("新密码不能与旧密码相同", en),
            AccountError::BadAccount(_) => ApiError::invalid("用户名须为 1 至 64 位小写字母、数字、点、下划线或连字符", en),
            AccountError::Taken(_) => ApiError::new(StatusCode::CONFLICT, "taken", "用户名已被使用", en),
            AccountError::RoleWithoutEnterprise => ApiError::invalid("企业用户须指定所属企业,其他角色不得指定", en),
            AccountError::Unknown(_) => ApiError::not_found(),
            AccountError::Hash | AccountError::PasswordFile { .. } => ApiError::internal(&error),
            AccountError::Store(error) => error.into(),
        }
    }
}

impl From<OrderError> for ApiError {
    fn from(error: OrderError) -> ApiError {
        use alarm::RefusedOrder;
        let en = error.to_string();
        let (zh, code) = match &error {
            OrderError::Busy => return ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "报警引擎没有应答,请重试", en),
            OrderError::Refused(RefusedOrder::NotOpen(_)) => ("该报警已关闭", "not_open"),
            OrderError::Refused(RefusedOrder::AlreadyAcknowledged { by }) => {
                return ApiError::new(StatusCode::CONFLICT, "already_acknowledged", format!("该报警已由 {by} 确认"), en);
            }
            OrderError::Refused(_) => ("该操作被拒绝", "refused"),
        };
        ApiError::new(StatusCode::CONFLICT, code, zh, en)
    }
}

impl From<timeseries::Error> for ApiError {
    fn from(error: timeseries::Error) -> ApiError {
        ApiError::internal(&error)
    }
}

impl From<JsonRejection> for ApiError {
    fn from(rejection: JsonRejection) -> ApiError {
        match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => {
                ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "请求内容过大", "the request is too large")
            }
            StatusCode::UNSUPPORTED_MEDIA_TYPE => ApiError::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "not_json",
                "请求须为 application/json",
                "send the request as application/json",
            ),
            _ => ApiError::unreadable(rejection.body_text()),
        }
    }
}

impl From<QueryRejection> for ApiError {
    fn from(rejection: QueryRejection) -> ApiError {
        ApiError::unreadable(rejection.body_text())
    }
}

impl From<PathRejection> for ApiError {
    fn from(_: PathRejection) -> ApiError {
        ApiError::not_found()
    }
}
