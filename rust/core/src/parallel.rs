//! Splits work over threads. What is computed never depends on how many there are.
//!
//! Workers take task numbers from one counter, so a slow core takes fewer of them. The calling thread is the
//! first worker: `threads = 1` starts nothing, and it alone asks whether to stop (only it may speak to the
//! interpreter that waits for the answer).
//!
//! A call starts its threads and ends them. With a pool it would save some ten microseconds, and would wait for whatever
//! call of another thread came first; and after a fork a child would find the pool without its threads.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::Builder;
use std::time::{Duration, Instant};

use crate::{Error, Level, Run, available_cpus};

/// How often the calling thread asks whether to stop.
const CHECK_INTERVAL: Duration = Duration::from_millis(50);

/// Comparisons that take some tens of microseconds.
const WORDS_WORTH_A_THREAD: usize = 1 << 18;

/// How many threads a call may use, and how it learns that it should stop.
pub struct Parallel<'a> {
    threads: usize,
    stop: &'a dyn Fn() -> bool,
    last_check: Cell<Instant>,
}

impl Parallel<'static> {
    /// The calling thread alone, never interrupted.
    pub fn serial() -> Self {
        Parallel::new(1, &|| false)
    }
}

impl<'a> Parallel<'a> {
    /// At most `threads` threads, the calling one included, and never more than the CPUs of this process. `stop`
    /// is called on the calling thread every now and then; once it returns true the call ends with
    /// [`Error::Interrupted`].
    pub fn new(threads: usize, stop: &'a dyn Fn() -> bool) -> Self {
        Parallel { threads: threads.clamp(1, available_cpus()), stop, last_check: Cell::new(Instant::now()) }
    }

    /// Bridges to [`Run`] while callers move there.
    pub(crate) fn as_run(&self, level: Level) -> Run<'a> {
        Run::exactly(level, self.threads, self.stop)
    }

    /// The same for a given number of 64-bit words to be compared: on one thread if that takes no longer than waking
    /// another.
    pub(crate) fn for_words(&self, words: usize) -> Parallel<'a> {
        let threads = if words < WORDS_WORTH_A_THREAD { 1 } else { self.threads };
        Parallel { threads, stop: self.stop, last_check: self.last_check.clone() }
    }

    /// Threads that will be used at most.
    pub(crate) fn threads(&self) -> usize {
        self.threads
    }

    /// Calls `work(state, task)` for every task in `0..n_tasks`, each exactly once and in ascending order within a
    /// worker, and returns the state of each worker.
    pub(crate) fn run<S: Send>(
        &self,
        n_tasks: usize,
        new_state: impl Fn() -> S + Sync,
        work: impl Fn(&mut S, usize) + Sync,
    ) -> Result<Vec<S>, Error> {
        let (next, stopped) = (AtomicUsize::new(0), AtomicBool::new(false));
        let worker = |check: &dyn Fn() -> bool| {
            let mut state = new_state();
            while !stopped.load(Ordering::Relaxed) {
                let task = next.fetch_add(1, Ordering::Relaxed);
                if task >= n_tasks {
                    break;
                }
                work(&mut state, task);
                if check() {
                    stopped.store(true, Ordering::Relaxed);
                }
            }
            state
        };
        // Between short runs of one call as well, hence the time of the last check is the caller's.
        let calling_worker = || {
            worker(&|| {
                self.last_check.get().elapsed() >= CHECK_INTERVAL && {
                    self.last_check.set(Instant::now());
                    (self.stop)()
                }
            })
        };

        let mut states = Vec::new();
        std::thread::scope(|scope| {
            let start =
                || Builder::new().name("fastcodes".to_owned()).spawn_scoped(scope, || worker(&|| false));
            // Where the system refuses to start threads, those that there are do the work.
            let helpers = self.threads.min(n_tasks).saturating_sub(1);
            let helpers: Vec<_> = (0..helpers).map_while(|_| start().ok()).collect();
            states.push(calling_worker());
            for helper in helpers {
                match helper.join() {
                    Ok(state) => states.push(state),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
        });
        if stopped.into_inner() { Err(Error::Interrupted) } else { Ok(states) }
    }

    /// Calls `work(index, chunk)` for every chunk of `out`, each of `chunk_len` elements except perhaps the last.
    pub(crate) fn for_each_chunk<T: Send>(
        &self,
        out: &mut [T],
        chunk_len: usize,
        work: impl Fn(usize, &mut [T]) + Sync,
    ) -> Result<(), Error> {
        if out.len() <= chunk_len {
            work(0, out);
            return Ok(());
        }
        // The locks are never waited for, since each task is done once; they are how safe code hands out chunks.
        let chunks: Vec<Mutex<&mut [T]>> = out.chunks_mut(chunk_len).map(Mutex::new).collect();
        self.run(
            chunks.len(),
            || (),
            |(), task| work(task, &mut chunks[task].lock().unwrap_or_else(PoisonError::into_inner)),
        )?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_is_done_exactly_once() {
        for threads in [1, 2, 5] {
            for n_tasks in [0, 1, 2, 100] {
                let parallel = Parallel { threads, ..Parallel::serial() };
                let states = parallel.run(n_tasks, Vec::new, |done, task| done.push(task)).unwrap();
                assert!(states.iter().all(|done| done.is_sorted()));
                let mut done: Vec<usize> = states.concat();
                done.sort_unstable();
                assert_eq!(done, (0..n_tasks).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn work_ends_soon_after_it_was_asked_to_stop() {
        for threads in [1, 2] {
            let parallel = Parallel { threads, ..Parallel::new(1, &|| true) };
            let begun = Instant::now();
            let result = parallel.run(10_000, || (), |(), _| std::thread::sleep(Duration::from_millis(1)));
            assert_eq!(result.unwrap_err(), Error::Interrupted);
            assert!(begun.elapsed() < Duration::from_secs(2));
        }
    }
}
