//! What the kernel says about a process: memory in use, open files; and the bound of this process's own files.

use std::fs;
use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Bytes of physical memory that a process has (`VmRSS`).
pub fn resident(pid: u32) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    parse_resident(&status)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no VmRSS in its status"))
}

/// How many files a process has open.
pub fn open_files(pid: u32) -> io::Result<usize> {
    Ok(fs::read_dir(format!("/proc/{pid}/fd"))?.count())
}

/// Raises this process's bound of open files to the hard one, and returns it.
pub fn raise_open_files() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    // If it is refused, the old bound holds, and that is what is returned.
    let _ = setrlimit(Resource::Nofile, raised);
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// `VmRSS` of a `/proc/PID/status`, in bytes. A process that has ended but was not waited for has none.
fn parse_resident(status: &str) -> Option<u64> {
    let value = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes = value.trim().strip_suffix("kB")?.trim().parse::<u64>();
    kilobytes.ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_resident_size_is_read_in_bytes() {
        for (status, expected) in [
            (
                "Name:\tinlet\nVmPeak:\t  9 kB\nVmRSS:\t   12340 kB\nRssAnon:\t 1 kB\n",
                Some(12_340 * 1024),
            ),
            ("VmRSS:\t0 kB\n", Some(0)),
            ("Name:\tzombie\nState:\tZ (zombie)\n", None),
            ("VmRSS:\t12 MB\n", None),
            ("VmRSS:\tmuch kB\n", None),
            ("VmRSS:\t18446744073709551615 kB\n", None),
        ] {
            assert_eq!(parse_resident(status), expected, "{status}");
        }
    }

    #[test]
    fn this_process_has_memory_and_files() {
        let own = std::process::id();
        assert!(resident(own).expect("its status") > 100 * 1024);
        let before = open_files(own).expect("its files");
        let held: Vec<_> = (0..50)
            .map(|_| fs::File::open("/dev/null").expect("the null device"))
            .collect();
        // Other tests of this process open and close files meanwhile, but not this many.
        assert!(open_files(own).expect("its files") >= before + held.len() / 2);
    }
}
