//! Facts of the process under the names that Prometheus clients share; memory and files as Linux tells them.

use std::fmt::Error;
use std::time::SystemTime;

use super::encode::Page;

pub(super) fn encode(page: &mut Page<'_>, started: SystemTime) -> Result<(), Error> {
    let since = started.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    page.gauge("process_start_time_seconds", "Start of the process, in Unix time.", &since.as_secs_f64())?;
    if let Some(bytes) = resident_bytes() {
        page.gauge("process_resident_memory_bytes", "Resident memory.", &bytes)?;
    }
    if let Some(files) = open_files() {
        page.gauge("process_open_fds", "Open file descriptors.", &files)?;
    }
    Ok(())
}

/// `VmRSS` of /proc/self/status (proc(5)), which is in kB whatever the size of a page.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()?.checked_mul(1_024)
}

fn open_files() -> Option<u64> {
    u64::try_from(std::fs::read_dir("/proc/self/fd").ok()?.count()).ok()
}
