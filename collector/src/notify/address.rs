//! Which addresses a notice may go to.

/// Why an address is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadAddress {
    #[error("it must be a whole address such as https://example.org/davy")]
    NoUrl,
    #[error("only http:// and https:// can be told")]
    OtherScheme,
    #[error("it must not contain a user or a password: they would end up in logs and backups")]
    HasCredentials,
}

impl BadAddress {
    pub const fn zh(self) -> &'static str {
        match self {
            BadAddress::NoUrl => "须为完整地址,例如 https://example.org/davy",
            BadAddress::OtherScheme => "只支持 http:// 和 https://",
            BadAddress::HasCredentials => "不得包含用户名或密码,否则会进入日志和备份",
        }
    }
}

/// The address as a URL that notices can be sent to.
pub fn usable_url(text: &str) -> Result<reqwest::Url, BadAddress> {
    let url = reqwest::Url::parse(text).map_err(|_| BadAddress::NoUrl)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(BadAddress::OtherScheme);
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(BadAddress::NoUrl);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(BadAddress::HasCredentials);
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<BadAddress>) {
        assert_eq!(usable_url(text).err(), expected, "{text}");
    }

    #[test]
    fn http_and_https_are_usable() {
        check("http://127.0.0.1:9000/hook", None);
        check("https://example.org/davy?a=b", None);
    }

    #[test]
    fn anything_else_is_refused_with_its_reason() {
        check("file:///etc/passwd", Some(BadAddress::OtherScheme));
        check("gopher://example.org/", Some(BadAddress::OtherScheme));
        check("example.org/hook", Some(BadAddress::NoUrl));
        check("https://user:secret@example.org/", Some(BadAddress::HasCredentials));
        check("", Some(BadAddress::NoUrl));
    }
}
