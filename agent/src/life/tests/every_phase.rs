//! Every phase with everything that may happen: what is ordered, and where the life stands then.

use super::*;

/// What is ordered, and where the life stands then.
type Expected = Vec<(&'static str, Phase)>;
/// A stage, how a life gets there, and what is expected.
type Row = (&'static str, fn() -> Living, Expected);

/// A life in every stage, and what is expected of each input in the order of [`inputs`].
#[rustfmt::skip]
fn table() -> Vec<Row> {
    use Phase::{Active, Configuring, Degraded, Ended, Enrolling, Goodbye, Probing, Renewing};
    let nothing = |phase, inputs: usize| vec![("", phase); inputs];
    vec![
        ("probing", || Living::begin(None), [
            vec![("Enroll New", Enrolling), ("End", Ended)], nothing(Probing, 13),
            vec![("Forget, Leave", Goodbye)], nothing(Probing, 1)].concat()),
        ("enrolling", Living::enrolling, [
            nothing(Enrolling, 2),
            vec![("Tell Enrolled, Open", Configuring), ("Warn NotEnrolled", Enrolling), ("Unconfigured, End", Ended)],
            nothing(Enrolling, 10), vec![("Forget, Leave", Goodbye)], nothing(Enrolling, 1)].concat()),
        ("connecting", Living::connecting, [
            nothing(Configuring, 5),
            vec![("Adopt, Tell Subscribed, Tell Configured, Keep, Act", Active),
                 ("Adopt, Tell Subscribed, Warn NotConfigured", Configuring),
                 ("Warn NotSubscribed", Configuring), ("Warn CertificateOver, Forget", Enrolling)],
            nothing(Configuring, 6), vec![("Leave", Goodbye)], nothing(Configuring, 1)].concat()),
        ("configuring", Living::configuring, [
            nothing(Configuring, 9),
            vec![("", Configuring), ("Lose, Tell Lost, Warn NotSubscribed", Configuring),
                 ("Lose, Tell Lost, Warn NotSubscribed", Configuring),
                 ("Tell Configured, Keep, Act", Active), ("Warn NotConfigured", Configuring),
                 ("", Configuring), ("Leave", Goodbye), ("", Configuring)]].concat()),
        ("active", Living::active, [
            nothing(Active, 9),
            vec![("Fetch", Active), ("Lose, Tell Lost, Warn NotSubscribed", Degraded),
                 ("Lose, Tell Lost, Warn NotSubscribed", Degraded),
                 ("Tell Configured, Keep, Act", Active), ("Warn NotConfigured", Active),
                 ("", Active), ("Leave", Goodbye), ("", Active)]].concat()),
        ("renewing", Living::renewing, [
            nothing(Renewing, 9),
            vec![("Fetch", Renewing), ("Lose, Tell Lost, Warn NotSubscribed", Degraded),
                 ("Lose, Tell Lost, Warn NotSubscribed", Degraded),
                 ("Tell Configured, Keep, Act", Renewing), ("Warn NotConfigured", Renewing),
                 ("Tell Renewed, Open", Renewing), ("Leave", Goodbye), ("", Renewing)]].concat()),
        ("opening", Living::opening, [
            nothing(Renewing, 5),
            vec![("Adopt, Tell Subscribed, Tell Configured, Keep, Act", Active),
                 ("Adopt, Tell Subscribed, Warn NotConfigured", Active),
                 ("Warn NotRenewed", Renewing), ("Warn NotRenewed", Renewing),
                 ("Fetch", Renewing), ("Lose, Tell Lost", Degraded), ("Lose, Tell Lost", Degraded),
                 ("Tell Configured, Keep, Act", Renewing), ("Warn NotConfigured", Renewing),
                 ("", Renewing), ("Leave", Goodbye), ("", Renewing)]].concat()),
        ("degraded", Living::degraded, [
            nothing(Degraded, 5),
            vec![("Adopt, Tell Subscribed, Tell Configured, Keep, Act", Active),
                 ("Adopt, Tell Subscribed, Warn NotConfigured", Active),
                 ("Warn NotSubscribed", Degraded), ("Warn CertificateOver, Forget", Degraded)],
            nothing(Degraded, 6), vec![("Leave", Goodbye)], nothing(Degraded, 1)].concat()),
        ("leaving", Living::leaving, [
            nothing(Goodbye, 16), vec![("Tell Stopped, End well", Ended)]].concat()),
        ("ended", Living::ended, nothing(Ended, 17)),
    ]
}

fn inputs() -> Vec<(&'static str, Input)> {
    vec![
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
        ("evicted", Input::Heard(Heard::Evicted(Failure::Evicted("it was".to_owned())))),
        ("stream ended", Input::StreamEnded(unreachable())),
        ("fetched", Input::Fetched(Ok(config(9)))),
        ("not fetched", Input::Fetched(Err(refused(Reason::Overloaded)))),
        ("renewed", Input::Renewed(Ok(given()))),
        ("stopped", Input::Stop),
        ("left", Input::Left { goodbye: true }),
    ]
}

#[test]
fn every_phase_answers_everything_that_may_happen() {
    for (stage, reach, expected) in table() {
        let inputs = inputs();
        assert_eq!(expected.len(), inputs.len(), "{stage}");
        for ((name, input), (ordered, phase)) in inputs.into_iter().zip(expected) {
            let mut living = reach();
            let effects = living.hears(input);
            let ordered = ordered.replace("Unconfigured, ", "");
            assert_eq!((names(&effects), living.life.phase()), (ordered, phase), "{stage}: {name}");
        }
    }
}

#[test]
fn time_alone_orders_nothing_before_it_wakes() {
    for (stage, reach, _) in table() {
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
