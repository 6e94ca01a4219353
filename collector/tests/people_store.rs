//! The store's promises, the same for SQLite and PostgreSQL. PostgreSQL is tested when `DAVY_TEST_POSTGRES` holds
//! the URL of a database that may be emptied.
#![allow(clippy::expect_used, clippy::panic, reason = "a test program: what it cannot do is its failure")]

mod people_support;

use std::io::Write;

use alarm::{Event, Stage};
use collector::registry::PointId;
use collector::store::{AlarmFilter, EnrolError, LedgerDelta, NewEndpoint, NewGateway, Store, day_of};
use measurement::{Timestamp, Unit};
use people_support::{Judge, NOW, catalogue, channel, fact, judged, plant, sqlite, two_gases};
use telemetry::{Gap, GapCause};

/// Runs one check against SQLite, and against PostgreSQL when there is one.
macro_rules! both {
    ($($name:ident),+ $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test] async fn $name() {
                let (store, _url, _dir) = super::sqlite().await;
                super::$name(store).await;
            })+
        }

        #[tokio::test]
        async fn everything_holds_on_postgresql_too() {
            let Ok(url) = std::env::var("DAVY_TEST_POSTGRES") else {
                // Not eprintln: the test harness would swallow it.
                let _ = writeln!(std::io::stderr(), "SKIPPED: the store was not tested against PostgreSQL; set DAVY_TEST_POSTGRES to the URL of an empty database");
                return;
            };
            $({
                empty(&url).await;
                println!("on postgresql: {}", stringify!($name));
                let dir = tempfile::tempdir().expect("a folder");
                let store = Store::open_with(&url, Some(dir.path().join("journal-anchor"))).await.expect("the store opens");
                $name(store.clone()).await;
                store.close().await.expect("closes");
            })+
        }
    };
}

both!(
    a_change_is_published_as_a_new_snapshot,
    new_channels_get_the_rules_of_their_pack_and_keep_their_numbers,
    a_channel_that_measures_something_else_gets_new_rules,
    a_withdrawn_channel_stays_while_a_point_relies_on_it,
    two_points_of_an_enterprise_cannot_share_a_code,
    an_alarm_its_journal_and_its_notices_are_recorded_together,
    the_same_judgement_recorded_again_makes_no_second_notice,
    an_alarm_that_comes_back_is_told_again_under_another_key,
    a_stage_noted_by_a_page_survives_the_next_transition,
    an_endpoint_is_not_told_what_is_below_its_priority,
    the_ledger_adds_up_by_gateway_and_day,
    a_gap_is_counted_once,
    an_enrolment_code_works_once_and_not_after_its_time,
    racing_gateways_cannot_share_a_code,
    the_journal_verifies_after_many_writers,
);

async fn empty(url: &str) {
    use sea_orm::ConnectionTrait;
    let db = sea_orm::Database::connect(url).await.expect("postgresql answers");
    db.execute_unprepared("DROP SCHEMA public CASCADE; CREATE SCHEMA public").await.expect("emptied");
}

async fn a_change_is_published_as_a_new_snapshot(store: Store) {
    let mut watch = store.watch_registry();
    watch.mark_unchanged();
    let plant = plant(&store, "长征化工", "gw-1").await;
    assert!(watch.has_changed().expect("the store lives"));
    let registry = watch.borrow_and_update().clone();
    assert_eq!(registry.point(plant.point).map(|point| point.code.as_str()), Some("P-1"));
    assert_eq!(registry.channels_of(plant.point).count(), 2);
    assert!(registry.gateways.iter().any(|gateway| gateway.id == "gw-1"));
}

async fn new_channels_get_the_rules_of_their_pack_and_keep_their_numbers(store: Store) {
    let first = two_gases();
    let numbers = store.adopt_catalogue("gw-1", first.hash().0, &first, NOW).await.expect("adopted");
    assert_eq!(store.adopt_catalogue("gw-1", first.hash().0, &first, NOW).await.expect("again"), numbers);
    let mut reordered = first.channels.clone();
    reordered.reverse();
    reordered.push(channel("tank2/o2", "O2", Unit::PercentVol, (0.0, 30.0)));
    let second = catalogue(reordered);
    let again = store.adopt_catalogue("gw-1", second.hash().0, &second, NOW).await.expect("adopted");
    assert_eq!(again[..2], [numbers[1], numbers[0]]);
    let registry = store.registry();
    let methane = registry.channel(numbers[0]).expect("known");
    assert!(methane.rules.iter().any(|rule| rule.id.starts_with(&methane.pack)), "{:?}", methane.rules);
    assert!(methane.rules.iter().any(|rule| rule.id == "silence"));
    let kinds: Vec<String> =
        store.journal_page(None, 10, Some("channel.added")).await.expect("read").entries.into_iter().map(|entry| entry.text_en).collect();
    assert_eq!(kinds.len(), 2, "{kinds:?}");
}

async fn a_channel_that_measures_something_else_gets_new_rules(store: Store) {
    let first = catalogue(vec![channel("a/gas", "CH4", Unit::PercentLel, (0.0, 100.0))]);
    let number = store.adopt_catalogue("gw-1", first.hash().0, &first, NOW).await.expect("adopted")[0];
    let second = catalogue(vec![channel("a/gas", "H2S", Unit::MgPerM3, (0.0, 100.0))]);
    assert_eq!(store.adopt_catalogue("gw-1", second.hash().0, &second, NOW).await.expect("adopted")[0], number);
    let registry = store.registry();
    let channel = registry.channel(number).expect("known");
    for rule in &channel.rules {
        if let alarm::RuleKind::Limit { unit, .. } = &rule.what {
            assert_eq!(*unit, Unit::MgPerM3, "{}", rule.id);
        }
    }
    assert_eq!(store.journal_page(None, 10, Some("channel.redefined")).await.expect("read").entries.len(), 1);
}

async fn a_withdrawn_channel_stays_while_a_point_relies_on_it(store: Store) {
    let plant = plant(&store, "长征化工", "gw-1").await;
    store.bind(plant.channels[1], None, "admin", NOW).await.expect("unbound");
    let less = catalogue(vec![]);
    store.adopt_catalogue("gw-1", less.hash().0, &less, NOW).await.expect("adopted");
    let registry = store.registry();
    assert!(registry.channel(plant.channels[0]).is_some(), "its silence must be an alarm");
    assert!(registry.channel(plant.channels[1]).is_none());
}

async fn two_points_of_an_enterprise_cannot_share_a_code(store: Store) {
    let plant = plant(&store, "长征化工", "gw-1").await;
    let refused = store.put_point(None, people_support::point(plant.enterprise, "P-1"), "admin", NOW).await;
    assert!(matches!(refused, Err(collector::store::EditError::CodeTaken(_))), "{refused:?}");
    store.put_point(Some(plant.point), people_support::point(plant.enterprise, "P-1"), "admin", NOW).await.expect("itself may keep it");
}

async fn endpoint(store: &Store, min_priority: i64) -> i64 {
    let new = NewEndpoint { name: "监管平台".to_owned(), url: "http://127.0.0.1:9/x".to_owned(), enabled: true, min_priority };
    store.add_endpoint(new, "admin", NOW).await.expect("added").id
}

async fn an_alarm_its_journal_and_its_notices_are_recorded_together(store: Store) {
    let plant = plant(&store, "长征化工", "gw-1").await;
    let endpoint = endpoint(&store, 0).await;
    let raised = Judge::new(&store).reads(plant.channels[0], 80.0);
    assert!(raised.iter().any(|transition| transition.event == Event::Raised), "{raised:?}");
    let mut turn = judged(raised.clone());
    (turn.judged_to, turn.facts) = (Some(42), vec![fact("told beside it")]);
    store.record(&turn).await.expect("recorded");
    assert_eq!(store.judged_to().await.expect("read"), 42);
    let open = store.open_episodes().await.expect("read");
    let mut expected: Vec<_> = raised.iter().map(|transition| transition.episode.clone()).collect();
    expected.sort_by(|one, other| (one.opened_at, &one.id).cmp(&(other.opened_at, &other.id)));
    assert_eq!(open, expected, "oldest first, and always in one order");
    let waiting = store.waiting(endpoint, 0, 100).await.expect("read");
    assert_eq!(waiting.len(), raised.len());
    assert!(waiting.iter().any(|letter| letter.key == format!("{}:raised", raised[0].episode.id)));
    let journal = store.journal_page(None, 10, Some("alarm.raised")).await.expect("read").entries;
    assert!(journal[0].text_zh.contains("污水池"), "{journal:?}");
    let filter = AlarmFilter { open_only: true, points: Some(vec![plant.point]), gateways: vec![], before: None, limit: 10 };
    assert_eq!(store.episodes(&filter).await.expect("read").len(), raised.len());
    let foreign = AlarmFilter { points: Some(vec![PointId(999)]), ..filter };
    assert!(store.episodes(&foreign).await.expect("read").is_empty());
}

async fn the_same_judgement_recorded_again_makes_no_second_notice(store: Store) {
    let plant = plant(&store, "长征化工", "gw-1").await;
    let endpoint = endpoint(&store, 0).await;
    let first = Judge::new(&store).reads(plant.channels[0], 80.0);
    store.record(&judged(first.clone())).await.expect("recorded");
    // A second collector, or this one after a crash, judges the same readings: the same episode.
    let again = Judge::new(&store).reads(plant.channels[0], 80.0);
    assert_eq!(first[0].episode.id, again[0].episode.id);
    store.record(&judged(again)).await.expect("recorded again");
    assert_eq!(store.waiting(endpoint, 0, 100).await.expect("read").len(), first.len());
    assert_eq!(store.open_episodes().await.expect("read").len(), first.len());
}

async fn an_alarm_that_comes_back_is_told_again_under_another_key(store: Store) {
    let plant = plant(&store, "长征化工", "gw-1").await;
    let endpoint = endpoint(&store, 0).await;
    let mut judge = Judge::new(&store);
    let mut keys = std::collections::BTreeSet::new();
    for value in [80.0, 0.0, 80.0, 0.0] {
        store.record(&judged(judge.reads(plant.channels[0], value))).await.expect("recorded");
    }
    for letter in store.waiting(endpoint, 0, 100).await.expect("read") {
        assert!(keys.insert(letter.key.clone()), "the key {} is there twice", letter.key);
    }
    let ends: Vec<&str> = keys.iter().filter_map(|key| key.split_once(':').map(|(_, end)| end)).collect();
    for end in ["raised", "returned", "again", "returned:2"] {
        assert!(ends.contains(&end), "{end} is missing in {ends:?}");
    }
}

async fn a_stage_noted_by_a_page_survives_the_next_transition(store: Store) {
    let plant = plant(&store, "长征化工", "gw-1").await;
    let mut judge = Judge::new(&store);
    let raised = judge.reads(plant.channels[0], 80.0);
    let id = raised[0].episode.id.clone();
    store.record(&judged(raised)).await.expect("recorded");
    let painted = NOW.plus_ms(5000);
    store.stamp(&[(id.clone(), Stage::Painted, painted), (id.clone(), Stage::Painted, painted.plus_ms(9))]).await.expect("noted");
    store.record(&judged(judge.acknowledges(&id, "duty"))).await.expect("recorded");
    let episode = store.episode(&id).await.expect("read").expect("there").episode;
    assert_eq!(episode.stages.t5, Some(painted));
    assert_eq!(episode.acknowledged_by.as_deref(), Some("duty"));
}

async fn an_endpoint_is_not_told_what_is_below_its_priority(store: Store) {
    let plant = plant(&store, "长征化工", "gw-1").await;
    let (urgent_only, all) = (endpoint(&store, 3).await, endpoint(&store, 0).await);
    let raised = Judge::new(&store).reads(plant.channels[0], 80.0);
    let urgent = raised.iter().filter(|transition| transition.episode.priority == alarm::Priority::Urgent).count();
    store.record(&judged(raised.clone())).await.expect("recorded");
    assert_eq!(store.waiting(urgent_only, 0, 100).await.expect("read").len(), urgent);
    assert_eq!(store.waiting(all, 0, 100).await.expect("read").len(), raised.len());
}

async fn the_ledger_adds_up_by_gateway_and_day(store: Store) {
    let delta = |expected, stored, cause: Option<&str>, count| LedgerDelta {
        gateway: "gw-1".to_owned(),
        day: "2026-11-24".to_owned(),
        expected,
        stored,
        gap_cause: cause.map(str::to_owned),
        gap_count: count,
    };
    store.add_to_ledger(&[delta(100, 90, None, 0), delta(0, 5, Some("thinned"), 3)]).await.expect("added");
    store.add_to_ledger(&[delta(10, 10, Some("thinned"), 2)]).await.expect("added");
    let day = store.ledger_day("2026-11-24").await.expect("read");
    assert_eq!((day[0].expected, day[0].stored, day[0].gaps["thinned"], day[0].open()), (110, 105, 5, 0));
    assert!(store.ledger_day("2026-11-25").await.expect("read").is_empty());
}

async fn a_gap_is_counted_once(store: Store) {
    let gap = Gap { first: 10, last: 19, why: GapCause::Thinned as i32, lost: 0 };
    assert!(store.record_gap("gw-1", u64::MAX, gap, NOW).await.expect("kept"));
    assert!(!store.record_gap("gw-1", u64::MAX, gap, NOW).await.expect("known"));
    let told = store.journal_page(None, 10, Some("gap.declared")).await.expect("read").entries;
    assert_eq!(told.len(), 1);
    assert!(told[0].text_en.contains("10 lost, cause thinned"), "{}", told[0].text_en);
}

async fn an_enrolment_code_works_once_and_not_after_its_time(store: Store) {
    let new = NewGateway { name: "一号厂房".to_owned() };
    let code = store.new_enrolment_code(&new, NOW, "admin").await.expect("made");
    let typed = code.code.to_lowercase().replace('-', " ");
    let credentials = store.enrol(&typed, "gw-9", NOW.plus_ms(1000)).await.expect("admitted");
    let known = store.authenticate_gateway("gw-9", &credentials.password).await.expect("asked");
    assert_eq!(known.map(|id| id.0), Some("gw-9".to_owned()));
    assert_eq!(store.authenticate_gateway("gw-9", "guess").await.expect("asked"), None);
    assert_eq!(store.authenticate_gateway("gw-8", &credentials.password).await.expect("asked"), None);
    assert_ne!(store.gateway_secret("gw-9").await.expect("read").as_deref(), Some(credentials.password.as_str()), "only a hash is kept");
    assert!(matches!(store.enrol(&code.code, "gw-9", NOW.plus_ms(2000)).await, Err(EnrolError::BadCode)));
    let late = store.new_enrolment_code(&new, NOW, "admin").await.expect("made");
    assert!(matches!(store.enrol(&late.code, "gw-7", late.expires_at).await, Err(EnrolError::BadCode)));
    assert!(matches!(store.enrol(&late.code, "GW 7", NOW).await, Err(EnrolError::BadGateway(_))));
}

async fn racing_gateways_cannot_share_a_code(store: Store) {
    let code = store.new_enrolment_code(&NewGateway { name: "x".to_owned() }, NOW, "admin").await.expect("made").code;
    let mut racers = tokio::task::JoinSet::new();
    for number in 0..8 {
        let (store, code) = (store.clone(), code.clone());
        racers.spawn(async move { store.enrol(&code, &format!("gw-{number}"), NOW).await.is_ok() });
    }
    let admitted = racers.join_all().await.into_iter().filter(|admitted| *admitted).count();
    assert_eq!(admitted, 1);
}

async fn the_journal_verifies_after_many_writers(store: Store) {
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..8 {
        let store = store.clone();
        writers.spawn(async move {
            for number in 0..10 {
                store.journal(NOW, &fact(&format!("{writer}/{number} ' OR 1=1; <svg> \u{1F525} \u{202E}"))).await.expect("journalled");
            }
        });
    }
    writers.join_all().await;
    let verdict = store.verify_journal().await.expect("walked");
    assert_eq!((verdict.finding, verdict.head.count), (None, 80));
}

#[test]
fn a_day_begins_at_midnight_in_china() {
    assert_eq!(day_of(Timestamp(0)), "1970-01-01");
    assert_eq!(day_of(Timestamp(1_709_135_999_999)), "2024-02-28");
    assert_eq!(day_of(Timestamp(1_709_136_000_000)), "2024-02-29");
    assert_eq!(day_of(Timestamp(1_735_660_799_999)), "2024-12-31");
    assert_eq!(day_of(Timestamp(1_735_660_800_000)), "2025-01-01");
}
