//! Every phase with everything that may happen: what is ordered, and where the life stands then.

use super::*;

/// A stage, how a life gets there, and its phase; then of those [`inputs`] that do something: what is ordered, and where the life
/// stands then.
type Row = (&'static str, fn() -> Living, Phase, Vec<(&'static str, &'static str, Phase)>);

/// What a stream brings that was just opened, or is lost.
const CONFIGURED: &str = "Adopt, Tell Subscribed, Tell Configured, Keep, Act";
const NOT_CONFIGURED: &str = "Adopt, Tell Subscribed, Warn NotConfigured";
const LOST: &str = "Lose, Tell Lost, Warn NotSubscribed";

/// A life in every stage.
#[rustfmt::skip]
fn table() -> Vec<Row> {
    use Phase::{Active, Configuring, Degraded, Ended, Enrolling, Goodbye, Probing, Renewing};
    vec![
        ("probing", || Living::begin(None), Probing, vec![
            ("begun again", "Probe", Probing), ("probed", "Enroll New", Enrolling), ("nothing to present", "End", Ended),
            ("swap", "Stay", Probing), ("stopped", "Forget, Leave", Goodbye)]),
        ("enrolling", Living::enrolling, Enrolling, vec![
            ("enrolled", "Tell Enrolled, Open", Configuring), ("nobody enrolls", "Warn NotEnrolled", Enrolling),
            ("refused", "End", Ended), ("swap", "Stay", Enrolling), ("stopped", "Forget, Leave", Goodbye)]),
        ("enrolling with a cache", Living::enrolling_with_a_cache, Enrolling, vec![
            ("enrolled", "Tell Enrolled, Open", Configuring),
            ("nobody enrolls", "Warn NotEnrolled, Tell Degraded, Act", Degraded),
            ("refused", "Unconfigure, End", Ended), ("swap", "Stay", Enrolling), ("stopped", "Forget, Leave", Goodbye)]),
        ("connecting", Living::connecting, Configuring, vec![
            ("opened", CONFIGURED, Active), ("opened without a configuration", NOT_CONFIGURED, Configuring),
            ("not opened", "Warn NotSubscribed", Configuring),
            ("certificate refused", "Warn CertificateOver, Forget", Enrolling),
            ("swap", "Stay", Configuring), ("stopped", "Leave", Goodbye)]),
        ("configuring", Living::configuring, Configuring, vec![
            ("evicted", LOST, Configuring), ("stream ended", LOST, Configuring),
            ("fetched", "Tell Configured, Keep, Act", Active), ("not fetched", "Warn NotConfigured", Configuring),
            ("swap", "Open", Configuring), ("stopped", "Leave", Goodbye)]),
        ("active", Living::active, Active, vec![
            ("changed", "Fetch", Active), ("evicted", LOST, Degraded), ("stream ended", LOST, Degraded),
            ("fetched", "Tell Configured, Keep, Act", Active), ("not fetched", "Warn NotConfigured", Active),
            ("swap", "Open", Active), ("stopped", "Leave", Goodbye)]),
        ("renewing", Living::renewing, Renewing, vec![
            ("changed", "Fetch", Renewing), ("evicted", LOST, Degraded), ("stream ended", LOST, Degraded),
            ("fetched", "Tell Configured, Keep, Act", Renewing), ("not fetched", "Warn NotConfigured", Renewing),
            ("swap", "Stay", Renewing), ("renewed", "Tell Renewed, Open", Renewing),
            ("not renewed", "Warn NotRenewed", Renewing), ("stopped", "Leave", Goodbye)]),
        ("waiting to renew again", Living::waiting_to_renew_again, Renewing, vec![
            ("changed", "Fetch", Renewing), ("evicted", LOST, Degraded), ("stream ended", LOST, Degraded),
            ("fetched", "Tell Configured, Keep, Act", Renewing), ("not fetched", "Warn NotConfigured", Renewing),
            ("swap", "Stay", Renewing), ("stopped", "Leave", Goodbye)]),
        ("opening", Living::opening, Renewing, vec![
            ("opened", CONFIGURED, Active), ("opened without a configuration", NOT_CONFIGURED, Active),
            ("not opened", "Warn NotRenewed", Renewing), ("certificate refused", "Warn NotRenewed", Renewing),
            ("changed", "Fetch", Renewing), ("evicted", "Lose, Tell Lost", Degraded),
            ("stream ended", "Lose, Tell Lost", Degraded), ("fetched", "Tell Configured, Keep, Act", Renewing),
            ("not fetched", "Warn NotConfigured", Renewing), ("swap", "Stay", Renewing), ("stopped", "Leave", Goodbye)]),
        ("swapping", Living::swapping, Active, vec![
            ("opened", CONFIGURED, Active), ("opened without a configuration", NOT_CONFIGURED, Active),
            ("not opened", "Warn NotSwapped, Stay", Active), ("certificate refused", "Warn NotSwapped, Stay", Active),
            ("changed", "Fetch", Active), ("evicted", LOST, Degraded), ("stream ended", LOST, Degraded),
            ("fetched", "Tell Configured, Keep, Act", Active), ("not fetched", "Warn NotConfigured", Active),
            ("swap", "Stay", Active), ("stopped", "Leave", Goodbye)]),
        ("degraded", Living::degraded, Degraded, vec![
            ("opened", CONFIGURED, Active), ("opened without a configuration", NOT_CONFIGURED, Active),
            ("not opened", "Warn NotSubscribed", Degraded),
            ("certificate refused", "Warn CertificateOver, Forget", Degraded),
            ("swap", "Stay", Degraded), ("stopped", "Leave", Goodbye)]),
        ("leaving", Living::leaving, Goodbye, vec![
            ("left", "Tell Stopped, End well", Ended), ("left without a goodbye", "Tell Stopped, End well", Ended)]),
        ("ended", Living::ended, Ended, vec![]),
    ]
}

fn inputs() -> Vec<(&'static str, Input)> {
    vec![
        ("begun again", Input::Begin(Some(cached("compute-043")))),
        ("probed", Input::Probed(Ok(()))),
        ("nothing to present", Input::Probed(Err(Failure::other("no hardware")))),
        ("enrolled", Input::Enrolled(Ok(given()))),
        ("nobody enrolls", Input::Enrolled(Err(unreachable()))),
        ("refused", Input::Enrolled(Err(refused(Reason::NodeRevoked)))),
        ("opened", Input::Opened(Ok(Ok(config(9))))),
        ("opened without a configuration", Input::Opened(Ok(Err(refused(Reason::Overloaded))))),
        ("not opened", Input::Opened(Err(unreachable()))),
        ("certificate refused", Input::Opened(Err(revoked()))),
        ("changed", Input::Heard(Heard::Changed(changed(9)))),
        ("renew now", Input::Heard(Heard::RenewNow)),
        ("evicted", Input::Heard(Heard::Evicted(Failure::Evicted("it was".to_owned())))),
        ("stream ended", Input::StreamEnded(unreachable())),
        ("fetched", Input::Fetched(Ok(config(9)))),
        ("not fetched", Input::Fetched(Err(refused(Reason::Overloaded)))),
        ("swap", Input::Swap),
        ("renewed", Input::Renewed(Ok(given()))),
        ("not renewed", Input::Renewed(Err(unreachable()))),
        ("stopped", Input::Stop),
        ("left", Input::Left { goodbye: true }),
        ("left without a goodbye", Input::Left { goodbye: false }),
    ]
}

#[test]
fn every_phase_answers_everything_that_may_happen() {
    for (stage, reach, stands, mut expected) in table() {
        for (name, input) in inputs() {
            let mut living = reach();
            assert_eq!(living.life.phase(), stands, "{stage}");
            let effects = living.hears(input);
            let awaited = expected.iter().position(|(awaited, ..)| *awaited == name);
            let (ordered, phase) = awaited.map_or(("", stands), |at| {
                let (_, ordered, phase) = expected.remove(at);
                (ordered, phase)
            });
            assert_eq!((names(&effects).as_str(), living.life.phase()), (ordered, phase), "{stage}: {name}");
        }
        assert_eq!(expected, [], "{stage}: no input has this name");
    }
}

/// What an earlier process was configured by is told once, before anything else.
#[test]
fn a_life_that_has_begun_takes_no_other_cache() {
    for (stage, reach, _, _) in table().into_iter().filter(|(stage, ..)| *stage != "probing") {
        let mut living = reach();
        let before = living.life.cached().cloned();
        living.hears(Input::Begin(Some(cached("compute-043"))));
        assert_eq!(living.life.cached(), before.as_ref(), "{stage}");
    }
}

#[test]
fn time_alone_orders_nothing_before_it_wakes() {
    for (stage, reach, ..) in table() {
        let mut living = reach();
        let Some(at) = living.life.wakes_at() else { continue };
        living.now = living.now.max(at.saturating_sub(Duration::from_millis(1)));
        assert_eq!(living.hears(Input::Time), [], "{stage}");
        living.now = at;
        assert_ne!(living.hears(Input::Time), [], "{stage}");
    }
}

#[test]
fn whatever_happens_twice_a_life_that_has_ended_stays_so() {
    for (_, input) in inputs() {
        let mut living = Living::ended();
        assert_eq!((living.hears(input), living.life.wakes_at()), (vec![], None));
    }
}
