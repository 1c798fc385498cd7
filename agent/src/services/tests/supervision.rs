//! Services on a clock of the test.

use proptest::prelude::*;

use super::*;
use crate::services::declaration;

fn service(name: &str, lines: &str) -> Service {
    let text =
        format!("pact_services = 1\n[[service]]\nname = \"{name}\"\ncommand = [\"/{name}\"]\n{lines}\n");
    declaration::read(text.as_bytes()).unwrap().unwrap().remove(0)
}

struct Supervised {
    supervision: Supervision,
    now: Duration,
}

impl Supervised {
    fn new(services: &[Service]) -> (Self, String) {
        let mut supervised = Self { supervision: Supervision::default(), now: Duration::ZERO };
        let effects = supervised.hears(Input::Declare(services.to_vec()));
        (supervised, effects)
    }

    /// What is ordered, in short.
    fn hears(&mut self, input: Input) -> String {
        let effects = self.supervision.step(input, self.now, u64::MAX);
        let words = effects.into_iter().filter_map(|effect| match effect {
            Effect::Start(service) => Some(format!("start {}", service.name)),
            Effect::Terminate(name) => Some(format!("terminate {name}")),
            Effect::Kill(name) => Some(format!("kill {name}")),
            Effect::Done => Some("done".to_owned()),
            Effect::Tell(_) => None,
        });
        words.collect::<Vec<_>>().join(", ")
    }

    fn exits(&mut self, name: &str, code: i32) -> String {
        self.hears(Input::Exited { name: name.to_owned(), exit: Exit::Code(code) })
    }

    /// Goes on to when it wakes by itself.
    fn wakes(&mut self) -> (u128, String) {
        let at = self.supervision.wakes_at().expect("it waits for something");
        let waited = at.saturating_sub(self.now);
        self.now = at;
        (waited.as_millis(), self.hears(Input::Time))
    }

    fn state(&self, name: &str) -> String {
        let standings = self.supervision.standings();
        standings.into_iter().find(|standing| standing.name == name).map_or("gone".to_owned(), |it| it.state)
    }
}

#[test]
fn services_start_in_their_order_and_time_synchronization_before_all() {
    let services = [service("b", ""), service("a", ""), service("first", "order = 1")];
    let (_, started) = Supervised::new(&[&services[..], &[service("time", "time_sync = true")]].concat());
    assert_eq!(started, "start time, start first, start a, start b");
}

#[test]
fn what_is_waited_for_has_ended_or_has_had_its_time() {
    let services =
        [service("time", "time_sync = true\nwait_secs = 5\nrestart = \"never\""), service("a", "")];
    let (mut supervised, started) = Supervised::new(&services);
    assert_eq!((started.as_str(), supervised.state("a").as_str()), ("start time", "waiting"));
    assert_eq!(supervised.wakes(), (5000, "start a".to_owned()));

    let (mut supervised, _) = Supervised::new(&services);
    assert_eq!(supervised.exits("time", 0), "start a");
    assert_eq!(supervised.state("time"), "ended");
}

#[test]
fn restarts_wait_longer_and_longer_up_to_a_minute() {
    let (mut supervised, _) = Supervised::new(&[service("a", "")]);
    let mut waits = Vec::new();
    for _ in 0..10 {
        assert_eq!(supervised.exits("a", 1), "");
        assert_eq!(supervised.state("a"), "restarting");
        let (waited, started) = supervised.wakes();
        assert_eq!(started, "start a");
        waits.push(waited);
    }
    assert_eq!(waits, [200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 51_200, 60_000]);
    assert_eq!(supervised.supervision.standings()[0].restarts, 10);
    // One that was sound begins anew.
    supervised.now += SOUND;
    supervised.exits("a", 1);
    assert_eq!(supervised.wakes().0, 200);
}

#[test]
fn a_restart_is_never_without_a_pause() {
    for failed in 0..100 {
        assert!(wait(failed, 0) >= FIRST / 2 && wait(failed, u64::MAX) <= LONGEST);
    }
}

#[test]
fn a_service_is_started_again_as_it_says() {
    for (policy, after_success, after_failure) in
        [("always", true, true), ("on-failure", false, true), ("never", false, false)]
    {
        for (code, again) in [(0, after_success), (1, after_failure)] {
            let (mut supervised, _) = Supervised::new(&[service("a", &format!("restart = \"{policy}\""))]);
            supervised.exits("a", code);
            let expected = if again { "restarting" } else { "ended" };
            assert_eq!(supervised.state("a"), expected, "{policy} {code}");
        }
    }
}

#[test]
fn what_cannot_be_started_is_tried_again_and_keeps_nobody_waiting() {
    let (mut supervised, started) = Supervised::new(&[service("a", "wait_secs = 60"), service("b", "")]);
    assert_eq!(started, "start a");
    let exit = Exit::NotStarted("no such file".to_owned());
    assert_eq!(supervised.hears(Input::Exited { name: "a".to_owned(), exit }), "start b");
    assert_eq!(supervised.wakes(), (200, "start a".to_owned()));
}

#[test]
fn only_what_changed_is_restarted_and_only_after_its_process_has_ended() {
    let (mut supervised, _) = Supervised::new(&[service("a", ""), service("b", ""), service("c", "")]);
    let changed = service("b", "environment = { A = \"1\" }");
    let declared = vec![service("a", "order = 1"), changed, service("d", "order = 1")];
    // `d` is before `b` in the order, and `c` only stops.
    assert_eq!(supervised.hears(Input::Declare(declared)), "terminate b, terminate c, start d");
    assert_eq!(supervised.exits("c", 0), "");
    assert_eq!(supervised.exits("b", 0), "start b");
    assert_eq!((supervised.state("a"), supervised.state("c")), ("starting".to_owned(), "gone".to_owned()));
}

#[test]
fn a_change_of_mind_while_a_service_stops_starts_the_last_that_was_wanted() {
    let (mut supervised, _) = Supervised::new(&[service("a", "")]);
    let other = |value: u8| vec![service("a", &format!("environment = {{ A = \"{value}\" }}"))];
    assert_eq!(supervised.hears(Input::Declare(other(1))), "terminate a");
    assert_eq!(supervised.hears(Input::Declare(other(2))), "");
    assert_eq!(supervised.exits("a", 0), "start a");
    // Gone, and back before it had stopped.
    assert_eq!(supervised.hears(Input::Declare(vec![])), "terminate a");
    assert_eq!(supervised.hears(Input::Declare(other(2))), "");
    assert_eq!(supervised.exits("a", 0), "start a");
}

#[test]
fn who_does_not_stop_in_time_is_killed() {
    let (mut supervised, _) = Supervised::new(&[service("a", "stop_within_secs = 3"), service("b", "")]);
    assert_eq!(supervised.hears(Input::Stop), "terminate a, terminate b");
    assert_eq!(supervised.exits("b", 0), "");
    assert_eq!(supervised.wakes(), (3000, "kill a".to_owned()));
    assert_eq!(supervised.supervision.wakes_at(), None);
    assert_eq!(supervised.exits("a", 0), "done");
}

#[test]
fn once_stopped_nothing_starts() {
    let (mut supervised, _) = Supervised::new(&[service("a", "")]);
    supervised.exits("a", 1);
    assert_eq!(supervised.hears(Input::Stop), "done");
    assert_eq!(supervised.hears(Input::Declare(vec![service("a", "")])), "done");
}

proptest! {
    /// Whatever happens: of one service one process at most, and a stop comes to its end.
    #[test]
    fn of_one_service_one_process_runs(history in prop::collection::vec((0..5u8, 0..3usize, 0..3u8), 0..80)) {
        let (mut supervised, _) = Supervised::new(&[]);
        let mut running = std::collections::BTreeSet::new();
        let mut hears = |supervised: &mut Supervised, input| {
            if let Input::Exited { name, .. } = &input && !running.remove(name) {
                return;
            }
            for effect in supervised.supervision.step(input, supervised.now, 0) {
                if let Effect::Start(service) = effect {
                    assert!(running.insert(service.name.clone()), "two of {}", service.name);
                }
            }
        };
        let names = ["a", "b", "c"];
        let exits = |who: usize| Input::Exited { name: names[who].to_owned(), exit: Exit::Code(1) };
        for (what, who, how) in history {
            let lines = format!("order = {how}\nenvironment = {{ A = \"{how}\" }}\nwait_secs = {how}");
            let input = match what {
                0 => Input::Declare(vec![service(names[who], &lines)]),
                1 => Input::Declare(names.map(|name| service(name, &lines)).to_vec()),
                2 => Input::Time,
                _ => exits(who),
            };
            supervised.now += Duration::from_secs(u64::from(how));
            hears(&mut supervised, input);
        }
        hears(&mut supervised, Input::Stop);
        (0..3).for_each(|who| hears(&mut supervised, exits(who)));
        prop_assert!(supervised.supervision.entries.is_empty());
    }
}
