//! How many files this process and its children may open: each node holds a connection, which is a file on both sides.

use proto::outcome::Failure;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Connections beyond one a node: those that are being replaced, operators, standard streams, the log.
const BESIDES: u64 = 512;

/// Raises the soft limit to the hard limit; children inherit it.
///
/// # Errors
/// If the hard limit is too low for so many nodes of which so many connect at one moment.
pub fn raise(nodes: u32, concurrency: u32) -> Result<(), Failure> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
        .map_err(|error| Failure::other(format!("the limit of open files cannot be raised: {error}")))?;
    let needed = needed(nodes, concurrency);
    match maximum {
        Some(limit) if limit < needed => Err(Failure::Usage(format!(
            "{nodes} nodes need {needed} open files and the limit is {limit}; boot fewer, or raise it with ulimit -Hn"
        ))),
        Some(_) | None => Ok(()),
    }
}

fn needed(nodes: u32, concurrency: u32) -> u64 {
    u64::from(nodes) + u64::from(concurrency.min(nodes)) + BESIDES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_nodes_than_files_are_refused_with_the_limit() {
        let limit = getrlimit(Resource::Nofile).maximum;
        let told = raise(u32::MAX, 1);
        match limit {
            Some(limit) if limit < u64::from(u32::MAX) => {
                let Err(Failure::Usage(told)) = told else { panic!("{told:?}") };
                assert!(told.contains(&format!("the limit is {limit}")), "{told}");
            }
            Some(_) | None => assert_eq!(told, Ok(())),
        }
    }

    #[test]
    fn nodes_that_connect_need_a_second_connection() {
        assert_eq!(needed(10_000, 1000), 11_000 + BESIDES);
        assert_eq!(needed(10, 1000), 20 + BESIDES);
    }
}
