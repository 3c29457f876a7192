//! Memory, CPU and disk use of this process.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sdk_relay_platform::clock;
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

/// Figures younger than this are reused: reading them per request would cost more than the answer, and the CPU share
/// needs a minimum interval.
const FRESH: Duration = Duration::from_secs(1);

/// Resource use of the process, as numbers and as text. Unknown figures are `None`.
#[derive(Debug, Default, PartialEq)]
pub struct ProcessFigures {
    /// Resident memory in bytes.
    pub memory_bytes: Option<u64>,
    /// Share of one processor since the last measurement, in percent.
    pub cpu_percent: Option<f64>,
    /// Processor time since the start, in seconds.
    pub cpu_seconds: Option<f64>,
    /// Unix second of its start.
    pub start_time: Option<u64>,
    /// Open file descriptors.
    pub open_files: Option<u64>,
    /// Number of file descriptors that it may open.
    pub max_files: Option<u64>,
    /// Size of the files in the data directory in bytes.
    pub disk_bytes: Option<u64>,
    /// `"128MB"`.
    pub memory_usage: Option<String>,
    /// `"5%"`.
    pub cpu_usage: Option<String>,
    /// `"2GB"`.
    pub disk_usage: Option<String>,
}

/// Measures the process on demand.
#[derive(Debug)]
pub struct Process {
    data_dir: PathBuf,
    look: Mutex<Look>,
}

#[derive(Debug)]
struct Look {
    /// `None` if the system does not report processes.
    system: Option<System>,
    at: Option<Instant>,
    figures: Arc<ProcessFigures>,
}

impl Process {
    /// For a process whose files are in `data_dir`.
    pub fn new(data_dir: &Path) -> Self {
        let look = Look {
            system: System::new().ok(),
            at: None,
            figures: Arc::default(),
        };
        Self {
            data_dir: data_dir.to_owned(),
            look: Mutex::new(look),
        }
    }

    /// The figures, at most a second old.
    pub fn figures(&self) -> Arc<ProcessFigures> {
        let mut look = self.look.lock().unwrap_or_else(PoisonError::into_inner);
        if look.at.is_none_or(|at| at.elapsed() >= FRESH) {
            look.figures = Arc::new(self.measure(look.system.as_mut()));
            look.at = Some(clock::monotonic());
        }
        Arc::clone(&look.figures)
    }

    fn measure(&self, system: Option<&mut System>) -> ProcessFigures {
        let disk_bytes = sdk_relay_files::size_of_tree(&self.data_dir).ok();
        let pid = Pid::from_u32(std::process::id());
        let what = ProcessRefreshKind::nothing().with_memory().with_cpu();
        let process = system.and_then(|system| {
            system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), false, what);
            system.process(pid)
        });
        let memory_bytes = process.map(sysinfo::Process::memory);
        let cpu_percent = process.map(|p| (f64::from(p.cpu_usage()) * 10.0).round() / 10.0);
        ProcessFigures {
            memory_bytes,
            cpu_percent,
            // Milliseconds.
            cpu_seconds: process.map(|p| p.accumulated_cpu_time() as f64 / 1e3),
            start_time: process.map(sysinfo::Process::start_time),
            open_files: process.and_then(sysinfo::Process::open_files).map(|n| n as u64),
            max_files: process.and_then(sysinfo::Process::open_files_limit).map(|n| n as u64),
            disk_bytes,
            memory_usage: memory_bytes.map(size_text),
            cpu_usage: cpu_percent.map(|percent| format!("{percent}%")),
            disk_usage: disk_bytes.map(size_text),
        }
    }
}

/// A number with at most one decimal, then the unit; 1 MB is 10^6 bytes.
fn size_text(bytes: u64) -> String {
    let (unit, name) = match bytes {
        0..1_000 => return format!("{bytes}B"),
        1_000..1_000_000 => (1e3, "KB"),
        1_000_000..1_000_000_000 => (1e6, "MB"),
        _ => (1e9, "GB"),
    };
    format!("{}{name}", (bytes as f64 / unit * 10.0).round() / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_as_the_reference_writes_them() {
        let words = [
            (128_000_000, "128MB"),
            (2_000_000_000, "2GB"),
            (1_500_000_000, "1.5GB"),
            (999, "999B"),
            (12_340, "12.3KB"),
        ];
        for (bytes, word) in words {
            assert_eq!(size_text(bytes), word);
        }
    }

    #[test]
    fn this_process_is_measured() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a"), [0; 1234]).unwrap();
        let figures = Process::new(dir.path()).figures();
        assert_eq!(figures.disk_bytes, Some(1234));
        assert!(figures.memory_bytes.is_some_and(|m| m > 1_000_000), "{figures:?}");
        assert!(figures.cpu_percent.is_some() && figures.cpu_seconds.is_some());
        assert!(figures.start_time.is_some_and(|t| t > 1_600_000_000), "{figures:?}");
        let (open, most) = (figures.open_files.unwrap(), figures.max_files.unwrap());
        assert!(open >= 3 && open < most, "{figures:?}");
    }
}
