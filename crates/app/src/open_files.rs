//! How many files this process may open; each connection is one.

/// What the window, the database, HTTPS and packages need beside simulated devices.
const OTHERS: u64 = 150;

/// Takes all that the system allows: desktops and shells start programs with far less. Called
/// once, at the start of a program.
pub fn raise() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let now = getrlimit(Resource::Nofile);
        // macOS calls it unlimited and then refuses that.
        let wanted = now.maximum.map_or(65_536, |most| most);
        if now.current.is_some_and(|current| current < wanted) {
            let raised = Rlimit {
                current: Some(wanted),
                maximum: now.maximum,
            };
            if let Err(error) = setrlimit(Resource::Nofile, raised) {
                tracing::warn!("the limit of open files stays where it is: {error}");
            }
        }
    }
}

/// `None` where there is no limit.
pub(crate) fn limit() -> Option<u64> {
    #[cfg(unix)]
    return rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    #[cfg(not(unix))]
    None
}

/// How many simulated devices have room under a limit, when each takes so many files.
pub(crate) fn room(limit: u64, files_each: u64) -> u64 {
    limit.saturating_sub(OTHERS) / files_each.max(1)
}

#[cfg(test)]
mod tests {
    use super::room;

    #[test]
    fn a_device_on_a_hub_in_this_process_takes_two_files() {
        assert_eq!(room(20_000, 2), 9_925);
        assert_eq!(room(20_000, 1), 19_850);
        assert_eq!(room(100, 2), 0);
    }
}
