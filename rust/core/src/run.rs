//! [`Run`]: how a call is carried out. The last argument of every entry point.

use std::cell::Cell;
use std::sync::OnceLock;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use crate::Level;

/// How often the calling thread asks whether to stop.
const CHECK_INTERVAL: Duration = Duration::from_millis(50);

/// Comparisons of 64-bit words that take some tens of microseconds, as long as starting a thread.
const WORDS_WORTH_A_THREAD: usize = 1 << 18;

/// The instructions and the threads that a call may use, and how it learns that it should stop.
pub struct Run<'a> {
    level: Level,
    threads: usize,
    stop: &'a dyn Fn() -> bool,
    last_check: Cell<Instant>,
}

impl Run<'static> {
    /// The calling thread alone, never interrupted.
    pub fn serial(level: Level) -> Self {
        Run::new(level, 1, &|| false)
    }
}

impl<'a> Run<'a> {
    /// At most `threads` threads, the calling one included, and never more than the CPUs of this process. `stop` is called
    /// on the calling thread at intervals; once it returns true the call ends with [`Error::Interrupted`](crate::Error).
    pub fn new(level: Level, threads: usize, stop: &'a dyn Fn() -> bool) -> Self {
        Run::exactly(level, threads.clamp(1, available_cpus()), stop)
    }

    /// [`Run::new`] without the limit of the CPUs.
    pub(crate) fn exactly(level: Level, threads: usize, stop: &'a dyn Fn() -> bool) -> Self {
        Run { level, threads, stop, last_check: Cell::new(Instant::now()) }
    }

    /// The instructions that kernels may use.
    pub fn level(&self) -> Level {
        self.level
    }

    /// The largest number of threads.
    pub(crate) fn threads(&self) -> usize {
        self.threads
    }

    /// The same run for work of this many 64-bit words: on one thread where that is faster than starting another.
    pub(crate) fn for_words(&self, words: usize) -> Run<'a> {
        let threads = if words < WORDS_WORTH_A_THREAD { 1 } else { self.threads };
        Run { level: self.level, threads, stop: self.stop, last_check: self.last_check.clone() }
    }

    /// Whether the caller wants the work to end, asked at intervals. The time of the last check outlives one loop, so that
    /// many short loops of one call are interrupted too.
    pub(crate) fn should_stop(&self) -> bool {
        self.last_check.get().elapsed() >= CHECK_INTERVAL && {
            self.last_check.set(Instant::now());
            (self.stop)()
        }
    }
}

/// The CPUs this process may use (affinity and container limits respected), as found at the first call.
pub fn available_cpus() -> usize {
    static CPUS: OnceLock<usize> = OnceLock::new();
    *CPUS.get_or_init(|| available_parallelism().map_or(1, usize::from))
}
