//! The API's promises: who may do what, what is refused and how, and what pages can rely on.
#![allow(clippy::expect_used, clippy::panic, reason = "a test program: what it cannot do is its failure")]

mod people_support;

use axum::http::Method as AxumMethod;
use collector::api::openapi;
use collector::api::policy::{Access, POLICY, access};
use collector::store::Role;
use people_support::room::{Page, Room, room};
use people_support::{Judge, NOW, judged, plant};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// Every operation of the OpenAPI document, and the routes that are not in it.
fn operations() -> Vec<(String, String)> {
    let document = serde_json::to_value(openapi()).expect("json");
    let mut list: Vec<(String, String)> = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        list.extend(item.as_object().expect("operations").keys().map(|method| (method.to_uppercase(), path.clone())));
    }
    list.extend(["/api/v1/openapi.json", "/docs", "/docs/", "/docs/{*rest}"].map(|path| ("GET".to_owned(), path.to_owned())));
    list
}

#[test]
fn every_route_is_in_the_policy_table_and_every_row_is_a_route() {
    let operations = operations();
    for (method, path) in &operations {
        let method = AxumMethod::from_bytes(method.as_bytes()).expect("a method");
        assert!(access(&method, path).is_some(), "{method} {path} is not in the policy table");
    }
    for (method, path, _) in POLICY {
        assert!(operations.iter().any(|(m, p)| m == method && p == path), "{method} {path} is no route");
    }
}

#[test]
fn a_route_nobody_thought_about_is_refused() {
    assert_eq!(access(&AxumMethod::GET, "/api/v1/new"), None);
    assert_eq!(access(&AxumMethod::PATCH, "/api/v1/points"), None);
}

fn concrete(path: &str) -> String {
    path.replace("{*rest}", "index.html").replace("{id}", "999999")
}

#[tokio::test]
async fn every_role_gets_exactly_what_the_table_says() {
    let room = room().await;
    let mut callers: Vec<(Option<Role>, Page)> = vec![(None, room.visitor())];
    let enterprise = plant(&room.store, "长征化工", "gw-1").await.enterprise;
    for role in Role::ALL {
        callers.push((Some(role), room.user(role.name(), role, (role == Role::Enterprise).then_some(enterprise)).await));
    }
    for (method, path, allowed) in POLICY {
        if matches!(*path, "/api/v1/session" | "/api/v1/live") && *method != "GET" || *path == "/api/v1/live" {
            continue;
        }
        for (role, page) in &callers {
            let method = Method::from_bytes(method.as_bytes()).expect("a method");
            let body = (method != Method::GET && method != Method::DELETE).then(|| json!({}));
            let (status, answer) = page.ask(method.clone(), &concrete(path), body).await;
            let refused = status == StatusCode::UNAUTHORIZED || (status == StatusCode::FORBIDDEN && answer["error"]["code"] == "forbidden");
            // Every test caller is on this machine.
            let may = match allowed {
                Access::Anybody | Access::LoopbackOrAdministrator => true,
                Access::Roles(roles) => role.is_some_and(|role| roles.contains(&role)),
            };
            assert_eq!(!refused, may, "{role:?} {method} {path} answered {status} {answer}");
            assert!(status.as_u16() < 500, "{role:?} {method} {path} answered {status}");
        }
    }
}

#[tokio::test]
async fn what_changes_something_must_come_from_our_own_pages() {
    let room = room().await;
    let page = room.user("admin2", Role::Administrator, None).await;
    let form = json!({"name": "甲", "kind": "plant"});
    let url = format!("{}/api/v1/enterprises", page.origin);
    for origin in [None, Some("http://evil.example"), Some("null")] {
        let mut request = page.client.post(&url).json(&form);
        if let Some(origin) = origin {
            request = request.header("Origin", origin);
        }
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status(), StatusCode::FORBIDDEN, "{origin:?}");
    }
    assert!(room.store.registry().enterprises.is_empty());
    assert_eq!(page.post("/api/v1/enterprises", form).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_foreign_enterprises_things_are_answered_like_none() {
    let room = room().await;
    let (own, foreign) = (plant(&room.store, "甲厂", "gw-1").await, plant(&room.store, "乙厂", "gw-2").await);
    let mut judge = Judge::new(&room.store);
    let mut ids = Vec::new();
    for plant in [&own, &foreign] {
        let raised = judge.reads(plant.channels[0], 80.0);
        ids.push(raised[0].episode.id.clone());
        room.store.record(&judged(raised)).await.expect("recorded");
    }
    let page = room.user("jia", Role::Enterprise, Some(own.enterprise)).await;
    assert_eq!(page.get(&format!("/api/v1/points/{}", own.point.0)).await.0, StatusCode::OK);
    assert_eq!(page.get(&format!("/api/v1/alarms/{}", ids[0])).await.0, StatusCode::OK);
    let none = page.get("/api/v1/points/987654").await;
    let series = |channel: u32| format!("/api/v1/channels/{channel}/series?from=0&to=1000");
    for path in [
        format!("/api/v1/points/{}", foreign.point.0),
        format!("/api/v1/alarms/{}", ids[1]),
        series(foreign.channels[0].0),
        format!("/api/v1/alarms?point={}", foreign.point.0),
    ] {
        assert_eq!(page.get(&path).await, none, "{path}");
    }
    for (act, body) in [("acknowledge", json!({"note": "x"})), ("seen", json!({"at": 1}))] {
        assert_eq!(page.post(&format!("/api/v1/alarms/{}/{act}", ids[1]), body).await, none, "{act}");
    }
    for path in ["/api/v1/points", "/api/v1/enterprises", "/api/v1/channels", "/api/v1/alarms?state=all", "/api/v1/gateways"] {
        let (status, list) = page.get(path).await;
        assert_eq!(status, StatusCode::OK);
        let text = list.to_string();
        assert!(text.contains("甲厂") || text.contains("gw-1"), "{path}: {text}");
        assert!(!text.contains("乙厂") && !text.contains("gw-2"), "{path}: {text}");
    }
}

#[tokio::test]
async fn a_limit_may_be_stricter_than_its_pack_and_never_looser() {
    let room = room().await;
    let plant = plant(&room.store, "甲厂", "gw-1").await;
    let page = room.user("boss", Role::Regulator, None).await;
    let path = format!("/api/v1/channels/{}/limits", plant.channels[0].0);
    let (_, point) = page.get(&format!("/api/v1/points/{}", plant.point.0)).await;
    let limits = point["channels"][0]["limits"].clone();
    let with = |factor: f64| {
        let mut limits = limits.clone();
        for limit in limits.as_array_mut().expect("limits") {
            limit["setpoint"] = json!(limit["setpoint"].as_f64().expect("a number") * factor);
            limit["release"] = json!(limit["release"].as_f64().expect("a number") * factor.min(1.0));
        }
        limits
    };
    assert!(!limits.as_array().expect("limits").is_empty());
    let (status, refusal) = page.ask(Method::PUT, &path, Some(with(1.1))).await;
    assert_eq!((status, refusal["error"]["code"].as_str()), (StatusCode::UNPROCESSABLE_ENTITY, Some("looser")), "{refusal}");
    let (status, refusal) = page.ask(Method::PUT, &path, Some(json!([]))).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "a rule of the pack may not be removed: {refusal}");
    let (status, now) = page.ask(Method::PUT, &path, Some(with(0.5))).await;
    assert_eq!(status, StatusCode::OK, "{now}");
    assert!(now["limits"][0]["source"].as_str().is_some_and(|source| source.starts_with("site, stricter than: ")), "{now}");
    let told = room.store.journal_page(None, 5, Some("channel.limits_changed")).await.expect("read").entries;
    assert_eq!((told.len(), told[0].who.as_str()), (1, "boss"));
}

#[tokio::test]
async fn a_name_comes_back_as_it_was_given_whatever_it_is() {
    let room = room().await;
    let page = room.user("boss", Role::Administrator, None).await;
    for name in ["' OR 1=1 --", "a,b=c d", "=cmd()", "<svg onload=alert(1)>", "\u{202E}txt.exe", "\u{1F525}火", "名\n第二行"] {
        let (status, made) = page.post("/api/v1/enterprises", json!({"name": name, "kind": "mine"})).await;
        assert_eq!((status, made["name"].as_str()), (StatusCode::OK, Some(name)));
    }
    for bad in [
        json!({"name": "", "kind": "plant"}),
        json!({"name": "x\u{1b}[31m", "kind": "plant"}),
        json!({"name": "x", "kind": "ship"}),
        json!({"name": "x".repeat(2001), "kind": "plant"}),
    ] {
        assert_eq!(page.post("/api/v1/enterprises", bad.clone()).await.0, StatusCode::UNPROCESSABLE_ENTITY, "{bad}");
    }
    assert_eq!(page.post("/api/v1/enterprises", json!({"name": "x", "kind": "plant", "extra": 1})).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn what_is_not_latched_cannot_be_reset_and_a_reset_needs_a_reason() {
    let room = room().await;
    let plant = plant(&room.store, "甲厂", "gw-1").await;
    let mut judge = Judge::new(&room.store);
    let raised = judge.reads(plant.channels[0], 80.0);
    let id = raised[0].episode.id.clone();
    room.store.record(&judged(raised)).await.expect("recorded");
    *room.desk.judge.lock().expect("not poisoned") = Some(judge);
    let page = room.user("duty", Role::Regulator, None).await;
    let reset = format!("/api/v1/alarms/{id}/reset");
    assert_eq!(page.post(&reset, json!({"note": ""})).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(page.post(&reset, json!({"note": "checked with gas"})).await.0, StatusCode::CONFLICT);
}

#[tokio::test]
async fn an_alarm_is_acknowledged_in_the_callers_name_and_seen_once() {
    let room = room().await;
    let plant = plant(&room.store, "甲厂", "gw-1").await;
    let mut judge = Judge::new(&room.store);
    let raised = judge.reads(plant.channels[0], 80.0);
    let id = raised[0].episode.id.clone();
    room.store.record(&judged(raised)).await.expect("recorded");
    *room.desk.judge.lock().expect("not poisoned") = Some(judge);
    room.clock.advance(10_000);
    let page = room.user("duty", Role::Regulator, None).await;
    assert_eq!(page.post(&format!("/api/v1/alarms/{id}/seen"), json!({"at": 5})).await.0, StatusCode::NO_CONTENT);
    assert_eq!(page.post(&format!("/api/v1/alarms/{id}/seen"), json!({"at": NOW.0 + 9_000})).await.0, StatusCode::NO_CONTENT);
    let (_, alarm) = page.post(&format!("/api/v1/alarms/{id}/acknowledge"), json!({"note": "去现场"})).await;
    assert_eq!(alarm["acknowledged_by"], "duty");
    let (_, alarm) = page.get(&format!("/api/v1/alarms/{id}")).await;
    let opened = alarm["opened_at"].as_i64().expect("a time");
    assert_eq!(alarm["stages"]["t5"].as_i64(), Some(opened), "painted cannot be before the alarm was opened: {alarm}");
    let events: Vec<&str> = alarm["transitions"].as_array().expect("a list").iter().filter_map(|told| told["event"].as_str()).collect();
    assert_eq!(events.last(), Some(&"acknowledged"), "{events:?}");
    assert_eq!(alarm["point"], "污水池 P-1");
}

#[tokio::test]
async fn a_gateway_enrols_without_a_session_and_guessing_is_slowed_down() {
    let room = room().await;
    let admin = room.user("boss", Role::Administrator, None).await;
    let (_, made) = admin.post("/api/v1/gateways/enrolments", json!({"name": "一号"})).await;
    let gateway = room.visitor();
    let enrol = |code: String| {
        let request = gateway.client.post(format!("{}/api/v1/enrol", gateway.origin)).json(&json!({"code": code, "gateway": "gw-new"}));
        async move { request.send().await.expect("an answer") }
    };
    let admitted: Value = enrol(made["code"].as_str().expect("a code").to_owned()).await.json().await.expect("json");
    assert_eq!(
        (admitted["user"].as_str(), admitted["url"].as_str(), admitted["root"].as_str()),
        (Some("gw-new"), Some("mqtt://127.0.0.1:1883"), Some("davy/v1"))
    );
    let password = admitted["password"].as_str().expect("a password");
    assert!(room.store.authenticate_gateway("gw-new", password).await.expect("asked").is_some());
    for _ in 0..10 {
        assert_eq!(enrol("AAAAA-AAAAA".to_owned()).await.status(), StatusCode::FORBIDDEN);
    }
    let slowed = enrol("AAAAA-AAAAA".to_owned()).await;
    assert_eq!(slowed.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(slowed.headers().contains_key("retry-after"));
    let (_, list) = admin.get("/api/v1/gateways").await;
    assert_eq!((list[0]["id"].as_str(), list[0]["online"].as_bool()), (Some("gw-new"), Some(false)));
}

#[tokio::test]
async fn every_answer_carries_the_guarding_headers() {
    let room = room().await;
    let page = room.visitor();
    for path in ["/", "/api/v1/overview", "/docs/", "/healthz", "/api/v1/none", "/nothing.js"] {
        let response = page.request(Method::GET, path).send().await.expect("an answer");
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        let csp = header("content-security-policy");
        assert!(
            csp.contains("default-src 'none'") && csp.contains("worker-src 'self' blob:") && csp.contains("frame-ancestors 'none'"),
            "{path}: {csp}"
        );
        assert!(!csp.contains("unsafe-eval") && !csp.contains("script-src 'self' 'unsafe-inline'"), "{csp}");
        assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_or_no_json_is_refused_in_both_languages() {
    let room = room().await;
    let page = room.user("boss", Role::Administrator, None).await;
    let (status, refusal) = page.post("/api/v1/enterprises", json!({"name": "x".repeat(300 * 1024), "kind": "plant"})).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE, "{refusal}");
    let response = page
        .request(Method::POST, "/api/v1/enterprises")
        .header("content-type", "application/json")
        .body("{")
        .send()
        .await
        .expect("an answer");
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let refusal: Value = response.json().await.expect("json");
    assert!(refusal["error"]["message_zh"].is_string() && refusal["error"]["message_en"].is_string(), "{refusal}");
}

#[tokio::test]
async fn the_documentation_is_served_without_any_other_host() {
    let room = room().await;
    let page = room.user("viewer", Role::Viewer, None).await;
    let text = page.request(Method::GET, "/docs/").send().await.expect("an answer").text().await.expect("text");
    assert!(text.contains("swagger-ui"), "{text}");
    assert!(!text.contains("https://") && !text.contains("http://"), "{text}");
    let (status, document) = page.get("/api/v1/openapi.json").await;
    assert_eq!(status, StatusCode::OK);
    assert!(document["paths"]["/api/v1/points/{id}"]["put"].is_object());
}

async fn stream(page: &Page, last: Option<u64>, until: &str) -> String {
    let mut request = page.request(Method::GET, "/api/v1/live");
    if let Some(last) = last {
        request = request.header("Last-Event-ID", last.to_string());
    }
    let mut response = request.send().await.expect("an answer");
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers().get("content-encoding"), None, "a compressor would hold events back");
    let mut text = String::new();
    while !text.contains(until) {
        let chunk = tokio::time::timeout(std::time::Duration::from_secs(10), response.chunk())
            .await
            .expect("in time")
            .expect("a stream")
            .expect("more");
        text.push_str(&String::from_utf8_lossy(&chunk));
    }
    text
}

fn tell_two_plants(room: &Room, own: u32, foreign: u32, points: (i64, i64)) {
    room.picture.tell(
        1,
        "readings",
        json!({"now": 1, "rows": [[own, 1.0, "good", null, 1, 1, true], [foreign, 2.0, "good", null, 1, 1, true]]}),
    );
    room.picture.tell(2, "point", json!({"id": points.1, "level": "red"}));
    room.picture.tell(3, "point", json!({"id": points.0, "level": "red"}));
}

#[tokio::test]
async fn a_live_stream_resumes_after_the_last_event_that_the_page_had() {
    let room = room().await;
    let plant = plant(&room.store, "甲厂", "gw-1").await;
    let page = room.user("viewer", Role::Viewer, None).await;
    tell_two_plants(&room, plant.channels[0].0, plant.channels[1].0, (plant.point.0, 99));
    let text = stream(&page, Some(1), "id: 3").await;
    assert!(text.contains("\"resumed\":true") && text.contains("id: 2") && !text.contains("id: 1\n"), "{text}");
    let text = stream(&page, None, "hello").await;
    assert!(text.contains("\"resumed\":false"), "{text}");
}

#[tokio::test]
async fn a_live_stream_shows_an_enterprise_nothing_of_others() {
    let room = room().await;
    let (own, foreign) = (plant(&room.store, "甲厂", "gw-1").await, plant(&room.store, "乙厂", "gw-2").await);
    let page = room.user("jia", Role::Enterprise, Some(own.enterprise)).await;
    tell_two_plants(&room, own.channels[0].0, foreign.channels[0].0, (own.point.0, foreign.point.0));
    let text = stream(&page, Some(0), "id: 3").await;
    assert!(text.contains(&format!("[{},1.0", own.channels[0].0)), "{text}");
    assert!(!text.contains(&format!("[{},2.0", foreign.channels[0].0)) && !text.contains("id: 2\n"), "{text}");
}

#[tokio::test]
async fn signing_out_kills_the_cookie_at_once() {
    let room = room().await;
    let page = room.visitor();
    room.user("duty", Role::Viewer, None).await;
    let signed_in = page
        .request(Method::POST, "/api/v1/session")
        .json(&json!({"user": "duty", "password": people_support::room::PASSWORD}))
        .send()
        .await
        .expect("an answer");
    let cookie = signed_in.headers()["set-cookie"].to_str().expect("text").to_owned();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict") && cookie.contains("Path=/"), "{cookie}");
    let token = cookie.split(';').next().expect("a pair").to_owned();
    assert_eq!(page.ask(Method::DELETE, "/api/v1/session", None).await.0, StatusCode::NO_CONTENT);
    let stolen = room.visitor().request(Method::GET, "/api/v1/session").header("cookie", token).send().await.expect("an answer");
    assert_eq!(stolen.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_past_of_a_channel_has_null_for_a_fault_and_names_its_gaps() {
    let room = room().await;
    let plant = plant(&room.store, "甲厂", "gw-1").await;
    let row = |second: i64, outcome| timeseries::Row {
        series: plant.channels[0].0,
        stream: 1,
        position: second as u64 + 1,
        sampled_at: NOW.plus_ms(second * 1000),
        outcome,
    };
    let good = |number: f32| measurement::Outcome::measured(number);
    let rows = [
        row(0, good(1.0)),
        row(1, good(2.0)),
        row(2, measurement::Outcome::Bad(measurement::Fault::WireBreak)),
        row(3, good(3.0)),
        row(20, good(4.0)),
    ];
    room.series.commit(&rows, &[]).expect("stored");
    room.clock.advance(60_000);
    let page = room.user("viewer", Role::Viewer, None).await;
    let path = format!("/api/v1/channels/{}/series?from={}&to={}&points=800", plant.channels[0].0, NOW.0, NOW.0 + 21_000);
    let (status, series) = page.get(&path).await;
    assert_eq!((status, series["resolution"].as_str()), (StatusCode::OK, Some("raw")), "{series}");
    assert_eq!(series["rows"][2]["last"], Value::Null);
    assert_eq!(series["rows"][2]["quality"], "bad");
    let gaps: Vec<&str> = series["gaps"].as_array().expect("a list").iter().filter_map(|gap| gap["cause"].as_str()).collect();
    assert_eq!(gaps, ["bad", "missing"], "{series}");
    let (status, _) = page.get(&path.replace("&to=", "&to=-")).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn the_journal_is_read_and_proved_over_the_api() {
    let room = room().await;
    plant(&room.store, "甲厂", "gw-1").await;
    let page = room.user("inspector", Role::Regulator, None).await;
    let (_, journal) = page.get("/api/v1/journal?limit=2").await;
    assert_eq!(journal["entries"].as_array().map(Vec::len), Some(2));
    assert_eq!(journal["entries"][0]["hash"], journal["head"]);
    let (_, verdict) = page.get("/api/v1/journal/verify").await;
    assert_eq!(verdict["ok"], true, "{verdict}");
}

#[tokio::test]
async fn notices_that_nobody_accepts_are_on_the_front_page_and_in_its_stream() {
    let room = room().await;
    let plant = plant(&room.store, "甲厂", "gw-1").await;
    let new =
        collector::store::NewEndpoint { name: "监管".to_owned(), url: "http://127.0.0.1:9/x".to_owned(), enabled: true, min_priority: 0 };
    room.store.add_endpoint(new, "admin", NOW).await.expect("added");
    room.store.record(&judged(Judge::new(&room.store).reads(plant.channels[0], 80.0))).await.expect("recorded");
    let page = room.user("viewer", Role::Viewer, None).await;
    let (_, overview) = page.get("/api/v1/overview").await;
    assert_eq!(overview["not_seen"], json!([]));
    room.clock.advance(200_000);
    let (_, overview) = page.get("/api/v1/overview").await;
    assert_eq!(overview["not_seen"][0]["kind"], "endpoint", "{overview}");
    room.picture.tell(1, "overview", json!({"not_seen": []}));
    let text = stream(&page, Some(0), "id: 1").await;
    assert!(text.contains("not accepted for more than 120 s"), "{text}");
}

#[tokio::test]
async fn the_pages_are_kept_by_their_hash_and_asked_for_again_by_their_tag() {
    let room = room().await;
    let page = room.visitor();
    let get = async |path: &str, tag: Option<&str>| {
        let mut request = page.request(Method::GET, path);
        if let Some(tag) = tag {
            request = request.header("If-None-Match", tag);
        }
        request.send().await.expect("an answer")
    };
    let index = get("/", None).await;
    assert_eq!((index.status(), index.headers()["content-type"].to_str().ok()), (StatusCode::OK, Some("text/html; charset=utf-8")));
    assert_eq!(get("/journal", None).await.status(), StatusCode::OK, "a path of the pages is theirs");
    assert_eq!(get("/assets/none.js", None).await.status(), StatusCode::NOT_FOUND);
    if cfg!(feature = "web") {
        let tag = index.headers()["etag"].to_str().expect("text").to_owned();
        assert_eq!(get("/", Some(&tag)).await.status(), StatusCode::NOT_MODIFIED);
        assert_eq!(index.headers()["cache-control"], "no-cache");
        let text = index.text().await.expect("text");
        let script = text
            .split('"')
            .find(|part| part.contains("assets/") && part.ends_with(".js"))
            .expect("a script")
            .trim_start_matches("./")
            .to_owned();
        assert!(get(&format!("/{script}"), None).await.headers()["cache-control"].to_str().expect("text").contains("immutable"));
    }
    assert_eq!(page.ask(Method::GET, "/api/v1/nothing", None).await.1["error"]["code"], "not_found");
}
