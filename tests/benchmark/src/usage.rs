//! What this process has used, from /proc.

/// CPU seconds of this process so far, user and system.
pub fn cpu_seconds() -> f64 {
    cpu_seconds_of("self")
}

/// CPU seconds of a process, user and system.
pub fn cpu_seconds_of(pid: &str) -> f64 {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return f64::NAN };
    // Behind the program's name in brackets: fields 14 and 15 of proc(5), in ticks of 10 ms.
    let Some((_, rest)) = stat.rsplit_once(") ") else { return f64::NAN };
    let ticks: u64 = rest.split(' ').skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    ticks as f64 / 100.0
}

/// CPU seconds of a process's first thread, to the nanosecond: for one that has no other and does little.
pub fn first_thread_seconds_of(pid: &str) -> f64 {
    let Ok(times) = std::fs::read_to_string(format!("/proc/{pid}/schedstat")) else { return f64::NAN };
    times.split(' ').next().and_then(|ns| ns.parse::<f64>().ok()).map_or(f64::NAN, |ns| ns / 1e9)
}

/// Megabytes of memory this process holds now.
pub fn resident_megabytes() -> f64 {
    resident_megabytes_of("self")
}

/// Megabytes of memory a process holds now.
pub fn resident_megabytes_of(pid: &str) -> f64 {
    let Ok(status) = std::fs::read_to_string(format!("/proc/{pid}/status")) else { return f64::NAN };
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok()).map_or(f64::NAN, |kilobytes| kilobytes / 1024.0)
}

/// Bytes that a process has made the kernel write to a disk so far: whole pages, as flash sees them.
pub fn written_bytes_of(pid: &str) -> f64 {
    let Ok(io) = std::fs::read_to_string(format!("/proc/{pid}/io")) else { return f64::NAN };
    io.lines().find_map(|line| line.strip_prefix("write_bytes: ")?.parse::<f64>().ok()).unwrap_or(f64::NAN)
}
