//! A process that ends with the program that started it, however that program ends.
//!
//! A handle that is dropped kills its process, but not every handle is dropped: not those in statics, in detached
//! threads, or of a killed program. `PR_SET_PDEATHSIG` needs unsafe code, and is bound to the *thread* that started the
//! process. So a shell process reads process ids from a pipe until the end of the program closes it, and kills the
//! remaining ones. It also removes the directories of those.

use std::io::{self, Write};
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

/// `+ PID`, `- PID` and `d DIRECTORY`, one line each. A signal to the program's process group does not end it. A killed
/// process may write until it has ended, which is awaited for 3 s at most.
const GUARD: &str = r#"
trap '' HUP INT TERM
pids=' '
while read -r sign what; do
    case $sign in
        +) pids="$pids$what " ;;
        -) pids="${pids%% "$what" *} ${pids#* "$what" }" ;;
        d) set -- "$@" "$what" ;;
    esac
done
if [ -n "${pids# }" ]; then
    kill -KILL $pids
    left=60
    while [ $left -gt 0 ] && kill -0 $pids 2>/dev/null; do
        sleep 0.05
        left=$((left - 1))
    done
fi
[ $# = 0 ] || rm -rf -- "$@"
"#;

/// A running process: killed when dropped, or when this program ends without dropping it.
#[derive(Debug)]
pub struct GuardedChild {
    child: Child,
}

impl GuardedChild {
    /// Starts the process.
    pub fn spawn(command: &mut Command) -> io::Result<GuardedChild> {
        let child = command.spawn()?;
        let guarded = GuardedChild { child };
        notify_guard('+', guarded.id().to_string())?;
        Ok(guarded)
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its standard error, where that is a pipe; once.
    pub fn take_stderr(&mut self) -> Option<ChildStderr> {
        self.child.stderr.take()
    }

    /// How it ended, once it has.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }
}

impl Drop for GuardedChild {
    fn drop(&mut self) {
        // Both fail for a process that has ended and was waited for, which is fine.
        drop(self.child.kill());
        drop(self.child.wait());
        // The process has ended even without its guard.
        drop(notify_guard('-', self.id().to_string()));
    }
}

/// Removes a directory when this program ends, however it ends. For one that its owner removes earlier, this is the
/// second attempt.
pub(crate) fn remove_at_end(directory: &Path) -> io::Result<()> {
    notify_guard('d', directory.display().to_string())
}

fn notify_guard(sign: char, what: String) -> io::Result<()> {
    static GUARD_INPUT: OnceLock<Mutex<Option<ChildStdin>>> = OnceLock::new();
    let input = GUARD_INPUT.get_or_init(Mutex::default);
    let mut input = input.lock().unwrap_or_else(PoisonError::into_inner);
    if input.is_none() {
        let guard = Command::new("sh")
            .args(["-c", GUARD])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        *input = guard.stdin;
    }
    let pipe = input.as_mut().ok_or_else(|| io::Error::other("no pipe to the guard"))?;
    writeln!(pipe, "{sign} {what}")
}
