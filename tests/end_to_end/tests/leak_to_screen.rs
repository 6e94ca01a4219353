//! The walk of the README: a leak at a simulated sensor to a real Chromium page and to a regulator's endpoint,
//! with its stage times; and a cut wire, which is a fault and never a zero. Screenshots are kept.
#![expect(clippy::panic, reason = "a test that cannot go on says where")]

use std::time::Duration;

use anyhow::{Context, Result};
use end_to_end::browser::Browser;
use end_to_end::room::{PASSWORD, Room};
use end_to_end::sink::Sink;
use serde_json::{Value, json};
use site::demo::{Demo, Options};
use site::plant::Gas;
use site::script::Trouble;
use tokio_util::sync::CancellationToken;

/// Generous, because the machine may be busy; nothing waits this long when it works.
const PATIENCE: Duration = Duration::from_secs(90);

/// A person chooses the dark look.
const CHOOSE_DARK: &str =
    "const look = [...document.querySelectorAll('select')].find((s) => [...s.options].some((o) => o.value === 'dark'));
    look.value = 'dark'; look.dispatchEvent(new Event('change', { bubbles: true })); return true";

#[tokio::test(flavor = "multi_thread")]
async fn a_leak_turns_a_point_red_on_a_real_page_and_reaches_the_regulator_and_a_cut_wire_is_a_fault() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let shutdown = CancellationToken::new();
    let options = Options { data: folder.path().to_owned(), http: ([127, 0, 0, 1], 0).into(), seed: 7, has_script: false };
    let demo = Demo::start(options, shutdown.clone()).await?;
    let base = format!("http://{}", demo.collector.http);
    let first = demo.collector.first_password.clone().context("a first start prints a password")?;

    let room = Room::enter(&base, Some(&first)).await?;
    let regulator = Sink::start().await?;
    room.post("webhooks", json!({"name": "regulator", "url": regulator.url(), "min_priority": "low"})).await?;
    room.until("every registered point is guarded", PATIENCE, "overview", |seen| {
        (seen["unguarded"] == 0 && seen["coverage"]["unbound"] == 4).then_some(())
    })
    .await?;

    let page = Browser::open().await?;
    if let Some(page) = &page {
        sign_in(page, &base).await?;
        page.until("a calm overview", PATIENCE, "return document.querySelector('.strip')?.dataset.protecting === 'true'").await?;
    }

    let vat = point(&room, "P-01").await?;
    if let Some(page) = &page {
        page.go(&format!("{base}/#/points/{vat}")).await?;
        page.until("the point's page", PATIENCE, "return !!document.querySelector('[data-point][data-level=yellow]')").await?;
    }
    assert!(demo.begin("P-01", Trouble::Leak(Gas::HydrogenSulphide)));
    if let Some(page) = &page {
        page.until("the point turns red", PATIENCE, "return !!document.querySelector('[data-point][data-level=red]')").await?;
        page.screenshot("point-leak").await?;
        page.go(&format!("{base}/#/")).await?;
        page.until("the alarm on the front page", PATIENCE, "return document.body.innerText.includes('腌制池 1 号')").await?;
        page.screenshot("overview").await?;
        page.run(CHOOSE_DARK).await?;
        page.screenshot("overview-dark").await?;
    }
    let delivery = regulator.wait_for("the leak", PATIENCE, |told| is_limit(&told.body, vat)).await?;
    let alarm = room
        .until("the alarm with its stages", PATIENCE, &format!("alarms?point={vat}"), |alarms| {
            let limit = alarms.as_array()?.iter().find(|alarm| alarm["kind"] == "limit" && alarm["stages"]["t6"].is_i64())?;
            (page.is_none() || limit["stages"]["t5"].is_i64()).then(|| limit.clone())
        })
        .await?;
    assert!(!delivery.key.is_empty(), "every delivery names its episode");
    in_order(&alarm["stages"], if page.is_some() { &["t2", "t3", "t4", "t5"] } else { &["t2", "t3", "t4"] });
    in_order(&alarm["stages"], &["t2", "t4", "t6"]);
    println!("stages of the leak: {}", alarm["stages"]);
    assert_eq!(alarm["late"], false);
    assert_eq!(alarm["simulated"], true);

    let well = point(&room, "S-02").await?;
    assert!(demo.begin("S-02", Trouble::WireCut { channel: 0 }));
    let now = room
        .until("the cut wire", PATIENCE, &format!("points/{well}"), |point| {
            let channel = point["channels"].as_array()?.iter().find(|channel| channel["tag"] == "S-02/ch4")?;
            (channel["quality"] == "bad").then(|| channel.clone())
        })
        .await?;
    assert_eq!(now["value"], Value::Null, "a fault carries no number: {now}");
    assert_eq!(now["fault"], "WireBreak", "{now}");
    room.until("an alarm that says fault", PATIENCE, &format!("alarms?point={well}"), |alarms| {
        alarms.as_array()?.iter().find(|alarm| alarm["kind"] == "fault").cloned()
    })
    .await?;
    if let Some(page) = &page {
        page.go(&format!("{base}/#/points/{well}")).await?;
        let card = "document.querySelector('.card[data-tag=\"S-02/ch4\"][data-quality=bad]')";
        page.until("the fault on the page", PATIENCE, &format!("return !!{card}")).await?;
        let number = page.run(&format!("return {card}.querySelector('.value').innerText")).await?;
        assert_eq!(number, "—", "a fault is drawn without a number");
        page.screenshot("point-cut-wire").await?;
        for (name, place) in [("map", "map"), ("alarms", "alarms"), ("journal", "journal"), ("setup", "setup")] {
            page.go(&format!("{base}/#/{place}")).await?;
            let shown = "return document.body.innerText.length > 200 && !document.querySelector('.loading')";
            let drawn = "return !!document.querySelector('[data-drawn]')";
            page.until(name, PATIENCE, if name == "map" { drawn } else { shown }).await?;
            page.screenshot(name).await?;
        }
    }
    shutdown.cancel();
    demo.stopped().await
}

async fn sign_in(page: &Browser, base: &str) -> Result<()> {
    page.go(base).await?;
    page.type_into("input[name=username]", "admin").await?;
    page.type_into("input[name=password]", PASSWORD).await?;
    page.click("button.main").await?;
    page.until("the page after signing in", PATIENCE, "return !!document.querySelector('.shell')").await?;
    Ok(())
}

async fn point(room: &Room, code: &str) -> Result<i64> {
    let points = room.get("points").await?;
    let found = points.as_array().and_then(|points| points.iter().find(|point| point["code"] == code));
    found.and_then(|point| point["id"].as_i64()).with_context(|| format!("no point {code}"))
}

fn is_limit(body: &Value, point: i64) -> bool {
    let alarm = if body["alarm"].is_object() { &body["alarm"] } else { body };
    alarm["kind"] == "limit" && alarm["point_id"] == point
}

#[track_caller]
fn in_order(stages: &Value, names: &[&str]) {
    let times: Vec<i64> = names.iter().map(|name| stages[*name].as_i64().unwrap_or_else(|| panic!("no {name} in {stages}"))).collect();
    assert!(times.is_sorted(), "{names:?} are out of order in {stages}");
    assert!(times.iter().all(|time| *time > 0), "{stages}");
}
