//! The snapshot as one page for people: Chinese first, English beside it, state by word and sign and colour,
//! nothing loaded from elsewhere, new every five seconds. Everything that comes from outside is escaped here.

use std::fmt::Write;

use telemetry::ClockQuality;

use super::board::{BusStanding, DeviceStanding};
use super::snapshot::{Mark, Snapshot, answers};

/// The page's style, served beside it.
pub const STYLE: &str = include_str!("page.css");

/// The page.
pub fn page(seen: &Snapshot) -> String {
    let mut html = String::with_capacity(16 * 1024);
    let (name, gateway) = (escaped(&seen.site.name), escaped(&seen.site.gateway));
    let _ = write!(
        html,
        "<!doctype html><html lang=\"zh-CN\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <meta http-equiv=\"refresh\" content=\"5\"><title>{name} · Davy</title><link rel=\"stylesheet\" href=\"/style.css\"></head>\
         <body><main><header><h1>{name}</h1><p>网关 <span class=\"en\">gateway</span> {gateway} · Davy {} · {}</p>{}</header>",
        seen.version,
        time(seen.now.wall.0),
        pill(seen.mark()),
    );
    notes(&mut html, seen);
    html.push_str("<div class=\"cards\">");
    field_card(&mut html, seen);
    spool_card(&mut html, seen);
    broker_card(&mut html, seen);
    clock_card(&mut html, seen);
    html.push_str("</div>");
    seen.buses.iter().for_each(|bus| bus_table(&mut html, bus, seen));
    let _ = write!(
        html,
        "<footer>每 5 秒刷新，只读，仅本机可见。<span lang=\"en\">New every 5 seconds; read only; for this host alone.</span> \
         <a href=\"/metrics\">/metrics</a> · <a href=\"/healthz\">/healthz</a> · <a href=\"/readyz\">/readyz</a></footer></main></body></html>"
    );
    html
}

fn notes(html: &mut String, seen: &Snapshot) {
    let mut note = |mark: Mark, zh: &str, en: &str, text: &str| {
        let _ = write!(
            html,
            "<div class=\"note {}\" role=\"status\"><b>{} {zh} <span class=\"en\">{en}</span></b>{}</div>",
            class(mark),
            sign(mark),
            escaped(text)
        );
    };
    if seen.site.simulated {
        note(Mark::Attention, "模拟数据", "simulated", "这里的一切都是模拟的。Everything here is simulated.");
    }
    if let Some(why) = &seen.site.refused {
        note(Mark::Attention, "配置有误，沿用旧配置", "site file refused, the one before goes on", why);
    }
    if !seen.site.waits_for_restart.is_empty() {
        note(Mark::Attention, "重启后生效", "takes a restart", &seen.site.waits_for_restart.join(", "));
    }
    for why in seen.alive() {
        note(Mark::Fault, "任务停滞", "a task hangs", &why);
    }
    if let Some(why) = &seen.post.degraded_because {
        note(seen.spool_mark(), "存储", "storage", why);
    }
    if let Some(why) = &seen.post.certificates {
        note(Mark::Attention, "证书", "certificates", why);
    }
    if let Some(why) = seen.post.trouble.clone().or_else(|| seen.unheard()) {
        note(seen.broker_mark(), "上传", "delivery", &why);
    }
}

fn field_card(html: &mut String, seen: &Snapshot) {
    let (answering, all) = seen.answering();
    card(
        html,
        "采集",
        "polling",
        seen.field_mark(),
        "",
        &[
            ("有应答", "answering", format!("{answering} / {all}")),
            ("总线", "buses", seen.buses.len().to_string()),
            ("已运行", "up", duration(seen.up_ms)),
            ("内存", "memory", seen.resident.map_or_else(unknown, bytes)),
        ],
    );
}

fn spool_card(html: &mut String, seen: &Snapshot) {
    let post = &seen.post;
    let share = post.spool_bytes as f64 / post.spool_capacity.max(1) as f64;
    let meter = format!("<meter min=\"0\" max=\"1\" high=\"0.8\" optimum=\"0\" value=\"{share:.3}\">{:.0} %</meter>", share * 100.0);
    let (used, of) = (bytes(post.spool_bytes), bytes(post.spool_capacity));
    let open = |shown: String| if seen.is_spool_open() { shown } else { unknown() };
    card(
        html,
        "本地存储",
        "spool",
        seen.spool_mark(),
        if seen.is_spool_open() { &meter } else { "" },
        &[
            ("已用", "used", open(format!("{used} / {of}"))),
            ("待确认", "unacknowledged", open(number(post.unacknowledged))),
            ("序号", "sequences", open(format!("{} … {}", number(post.floor), number(post.highest)))),
            ("丢失", "lost", number(post.lost)),
        ],
    );
}

fn broker_card(html: &mut String, seen: &Snapshot) {
    let post = &seen.post;
    card(
        html,
        "上传",
        "broker",
        seen.broker_mark(),
        "",
        &[
            ("地址", "address", escaped(&seen.site.broker)),
            ("上次确认", "last acknowledged", seen.acknowledged_ago_ms().map_or_else(unknown, ago)),
            ("传输", "transit", post.transit_ms.map_or_else(unknown, |ms| format!("{ms} ms"))),
        ],
    );
}

fn clock_card(html: &mut String, seen: &Snapshot) {
    let quality = match seen.clock {
        ClockQuality::Synchronised => "已校时 <span class=\"en\">disciplined</span>",
        ClockQuality::Holdover => "守时 <span class=\"en\">holdover</span>",
        ClockQuality::Untrusted => "未校时 <span class=\"en\">nobody disciplines it</span>",
    };
    let loaded = seen.site.loaded.map_or_else(unknown, |at| time(at.wall.0));
    card(
        html,
        "时钟与配置",
        "clock, site",
        seen.clock_mark().max(seen.site_mark()),
        "",
        &[
            ("时钟", "clock", quality.to_owned()),
            ("偏差", "offset", seen.clock_offset_ms.map_or_else(unknown, |ms| format!("{ms:.3} ms"))),
            ("配置载入", "site loaded", loaded),
        ],
    );
}

fn card(html: &mut String, zh: &str, en: &str, mark: Mark, above: &str, rows: &[(&str, &str, String)]) {
    let _ = write!(html, "<div class=\"card\"><h2><span>{zh} <small lang=\"en\">{en}</small></span>{}</h2>{above}<dl>", pill(mark));
    for (zh, en, shown) in rows {
        let _ = write!(html, "<dt>{zh} <small lang=\"en\">{en}</small></dt><dd>{shown}</dd>");
    }
    html.push_str("</dl></div>");
}

fn bus_table(html: &mut String, bus: &BusStanding, seen: &Snapshot) {
    let _ = write!(html, "<section><h2>{} <small>{}</small>{}</h2><table><thead><tr>", escaped(&bus.name), escaped(&bus.road), line(bus));
    let heads = [("设备", "device", ""), ("状态", "state", ""), ("上次应答", "last answer", "number"), ("往返", "round trip", "number")];
    for (zh, en, class) in heads.into_iter().chain([("失败", "failed", "number"), ("原因", "reason", "")]) {
        let _ = write!(html, "<th class=\"{class}\">{zh} <span class=\"en\" lang=\"en\">{en}</span></th>");
    }
    html.push_str("</tr></thead><tbody>");
    bus.devices.iter().for_each(|device| device_row(html, device, seen));
    html.push_str("</tbody></table></section>");
}

/// What the line has gone through, in one row.
fn line(bus: &BusStanding) -> String {
    let Some(line) = &bus.line else { return String::new() };
    let mut shown = String::new();
    if line.is_blocked {
        let talker = line.last_talker.map_or_else(String::new, |unit| format!(" #{unit}"));
        let _ = write!(shown, " <span class=\"mark fault\">✕ 线路被占 <span class=\"en\">blocked{talker}</span></span>");
    } else if line.is_noisy {
        shown.push_str(" <span class=\"mark attention\">! 干扰 <span class=\"en\">noisy</span></span>");
    }
    let counts = [
        ("询问", "asked", line.questions),
        ("超时", "timeouts", line.timeouts),
        ("误码", "garbled", line.garbled),
        ("重连", "reconnects", line.reconnects),
    ];
    for (zh, en, count) in counts {
        let _ = write!(shown, " <small>{zh} <span lang=\"en\">{en}</span> {}</small>", number(count));
    }
    shown
}

fn device_row(html: &mut String, device: &DeviceStanding, seen: &Snapshot) {
    let state = match (answers(device), device.asked) {
        (true, _) => pill(Mark::Well),
        (false, _) if device.refuses => "<span class=\"mark fault\">✕ 拒绝 <span class=\"en\">refuses</span></span>".to_owned(),
        (false, 0) => "<span class=\"mark\">… 尚未询问 <span class=\"en\">not asked yet</span></span>".to_owned(),
        (false, _) => "<span class=\"mark fault\">✕ 无应答 <span class=\"en\">no answer</span></span>".to_owned(),
    };
    let age = device.answered.map_or_else(unknown, |at| ago(seen.now.mono.since(at.mono)));
    let share = if device.asked == 0 { String::new() } else { format!(" ({:.1} %)", device.failed as f64 / device.asked as f64 * 100.0) };
    let _ = write!(
        html,
        "<tr><td>{} <small>#{} {}</small></td><td>{state}</td><td class=\"number\">{age}</td><td class=\"number\">{}</td>\
         <td class=\"number\">{} / {}{share}</td><td class=\"why\">{}</td></tr>",
        escaped(&device.name),
        device.unit,
        escaped(&device.profile),
        device.round_trip_ms.map_or_else(unknown, |ms| format!("{ms} ms")),
        number(device.failed),
        number(device.asked),
        escaped(device.trouble.as_deref().unwrap_or_default()),
    );
}

fn pill(mark: Mark) -> String {
    let (zh, en) = match mark {
        Mark::Well => ("正常", "well"),
        Mark::Attention => ("注意", "attention"),
        Mark::Fault => ("故障", "fault"),
    };
    format!("<span class=\"mark {}\">{} {zh} <span class=\"en\" lang=\"en\">{en}</span></span>", class(mark), sign(mark))
}

fn class(mark: Mark) -> &'static str {
    match mark {
        Mark::Well => "well",
        Mark::Attention => "attention",
        Mark::Fault => "fault",
    }
}

fn sign(mark: Mark) -> &'static str {
    match mark {
        Mark::Well => "✓",
        Mark::Attention => "!",
        Mark::Fault => "✕",
    }
}

fn unknown() -> String {
    "未知 <span class=\"en\">unknown</span>".to_owned()
}

fn ago(ms: u64) -> String {
    format!("{} 前", duration(ms))
}

fn duration(ms: u64) -> String {
    match ms / 1_000 {
        0 => format!("{ms} ms"),
        s @ 1..=119 => format!("{s} s"),
        s @ 120..=7_199 => format!("{} min", s / 60),
        s @ 7_200..=172_799 => format!("{} h", s / 3_600),
        s => format!("{} d", s / 86_400),
    }
}

fn bytes(count: u64) -> String {
    match count {
        0..1_048_576 => format!("{:.0} KiB", count as f64 / 1024.0),
        1_048_576..1_073_741_824 => format!("{:.1} MiB", count as f64 / 1_048_576.0),
        _ => format!("{:.1} GiB", count as f64 / 1_073_741_824.0),
    }
}

/// Digits in threes, with a thin space between.
fn number(count: u64) -> String {
    let digits = count.to_string();
    let mut shown = String::with_capacity(digits.len() * 2);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            shown.push('\u{202F}');
        }
        shown.push(digit);
    }
    shown
}

/// The host's own time zone, with its offset.
fn time(wall_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(wall_ms)
        .map_or_else(|_| unknown(), |at| at.to_zoned_datetime(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S %:z").to_string())
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}
