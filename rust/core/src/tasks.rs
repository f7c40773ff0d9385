//! Splits work over threads. Results never depend on how many there are.
//!
//! Workers take task numbers from one counter, so a slow core takes fewer of them. The calling thread is the first worker:
//! `threads = 1` starts nothing, and it alone asks whether to stop (only it may speak to the interpreter that waits for the
//! answer).
//!
//! A call starts its threads and ends them. A pool would save some ten microseconds, but would make calls of different
//! threads wait for each other, and after a fork a child would find the pool without its threads.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::Builder;

use crate::error::try_collect;
use crate::{Error, Run};

impl Run<'_> {
    /// Calls `work(state, task)` for every task in `0..n_tasks`, each exactly once and in ascending order within a worker,
    /// and returns the state of each worker. The first error, by the number of its task, ends the work.
    pub(crate) fn for_each_task<S: Send>(
        &self,
        n_tasks: usize,
        new_state: impl Fn() -> Result<S, Error> + Sync,
        work: impl Fn(&mut S, usize) -> Result<(), Error> + Sync,
    ) -> Result<Vec<S>, Error> {
        self.for_each_long_task(n_tasks, new_state, |state, task, _| work(state, task))
    }

    /// [`Run::for_each_task`] for tasks that take more than some tenths of a second: `work(state, task, is_stopped)` should ask now and
    /// then whether the work is stopped, and then return early, with any result.
    pub(crate) fn for_each_long_task<S: Send>(
        &self,
        n_tasks: usize,
        new_state: impl Fn() -> Result<S, Error> + Sync,
        work: impl Fn(&mut S, usize, &dyn Fn() -> bool) -> Result<(), Error> + Sync,
    ) -> Result<Vec<S>, Error> {
        let (next, ended) = (AtomicUsize::new(0), AtomicBool::new(false));
        let worker = |should_stop: &dyn Fn() -> bool| -> Result<S, (usize, Error)> {
            let stopped = Cell::new(false);
            let is_stopped = || {
                stopped.set(stopped.get() || should_stop());
                stopped.get() || ended.load(Ordering::Relaxed)
            };
            // Every task below a failed one was taken before it, and is finished unless it asks whether the work is stopped: so the
            // lowest failure of short tasks is always found, and that a task was stopped by another one's failure is none.
            let end = |task, error| {
                ended.store(true, Ordering::Relaxed);
                (if error == Error::Interrupted { usize::MAX } else { task }, error)
            };
            let mut state = new_state().map_err(|error| end(usize::MAX, error))?;
            while !ended.load(Ordering::Relaxed) {
                let task = next.fetch_add(1, Ordering::Relaxed);
                if task >= n_tasks {
                    break;
                }
                work(&mut state, task, &is_stopped).map_err(|error| end(task, error))?;
                if stopped.get() || should_stop() {
                    return Err(end(usize::MAX, Error::Interrupted));
                }
            }
            Ok(state)
        };

        let n_helpers = self.threads().min(n_tasks).saturating_sub(1);
        let (mut states, mut first_failure) = (Vec::new(), None);
        states.try_reserve_exact(n_helpers + 1)?;
        let mut finish = |done| match done {
            Ok(state) => states.push(state),
            Err((task, error)) => match first_failure {
                Some((first, _)) if first <= task => {}
                _ => first_failure = Some((task, error)),
            },
        };
        std::thread::scope(|scope| {
            let start =
                || Builder::new().name("fastcodes".to_owned()).spawn_scoped(scope, || worker(&|| false));
            // Where the system refuses to start threads, the others do the work.
            let helpers: Vec<_> = (0..n_helpers).map_while(|_| start().ok()).collect();
            finish(worker(&|| self.should_stop()));
            for helper in helpers {
                match helper.join() {
                    Ok(done) => finish(done),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
        });
        match first_failure {
            Some((_, error)) => Err(error),
            None => Ok(states),
        }
    }

    /// [`Run::for_each_task`], with the results of all tasks in their order.
    pub(crate) fn map_tasks<S: Send, R: Send>(
        &self,
        n_tasks: usize,
        new_state: impl Fn() -> Result<S, Error> + Sync,
        work: impl Fn(&mut S, usize) -> Result<R, Error> + Sync,
    ) -> Result<Vec<R>, Error> {
        let mut results = try_collect((0..n_tasks).map(|_| None))?;
        self.for_each_part(&mut results, new_state, |state, task, result| {
            *result = Some(work(state, task)?);
            Ok(())
        })?;
        try_collect(results.into_iter().flatten())
    }

    /// [`Run::for_each_long_task`], with the results of all tasks in their order.
    pub(crate) fn map_long_tasks<R: Send>(
        &self,
        n_tasks: usize,
        work: impl Fn(usize, &dyn Fn() -> bool) -> Result<R, Error> + Sync,
    ) -> Result<Vec<R>, Error> {
        let results = try_collect((0..n_tasks).map(|_| Mutex::new(None)))?;
        self.for_each_long_task(
            n_tasks,
            || Ok(()),
            |(), task, is_stopped| {
                let result = work(task, is_stopped)?;
                *results[task].lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
                Ok(())
            },
        )?;
        try_collect(results.into_iter().filter_map(|result| result.into_inner().ok().flatten()))
    }

    /// Calls `work(state, index, part)` once for every part: pieces of an output that workers fill.
    pub(crate) fn for_each_part<P: Send, S: Send>(
        &self,
        parts: impl IntoIterator<Item = P>,
        new_state: impl Fn() -> Result<S, Error> + Sync,
        work: impl Fn(&mut S, usize, P) -> Result<(), Error> + Sync,
    ) -> Result<Vec<S>, Error> {
        self.for_each_long_part(parts, new_state, |state, index, part, _| work(state, index, part))
    }

    /// [`Run::for_each_part`] for parts that take more than some tenths of a second, as [`Run::for_each_long_task`].
    pub(crate) fn for_each_long_part<P: Send, S: Send>(
        &self,
        parts: impl IntoIterator<Item = P>,
        new_state: impl Fn() -> Result<S, Error> + Sync,
        work: impl Fn(&mut S, usize, P, &dyn Fn() -> bool) -> Result<(), Error> + Sync,
    ) -> Result<Vec<S>, Error> {
        // No lock is ever waited for, since each task is done once; it is how safe code gives a part away.
        let parts = try_collect(parts.into_iter().map(|part| Mutex::new(Some(part))))?;
        self.for_each_long_task(parts.len(), new_state, |state, task, is_stopped| {
            match parts[task].lock().unwrap_or_else(PoisonError::into_inner).take() {
                Some(part) => work(state, task, part, is_stopped),
                None => Ok(()),
            }
        })
    }

    /// Calls `work(index, chunk)` for every chunk of `out`, each of `chunk_len` elements except perhaps the last.
    pub(crate) fn for_each_chunk<T: Send>(
        &self,
        out: &mut [T],
        chunk_len: usize,
        work: impl Fn(usize, &mut [T]) -> Result<(), Error> + Sync,
    ) -> Result<(), Error> {
        if out.len() <= chunk_len {
            return work(0, out);
        }
        self.for_each_part(out.chunks_mut(chunk_len), || Ok(()), |(), index, chunk| work(index, chunk))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::Level;

    #[test]
    fn every_task_is_done_exactly_once_and_results_are_in_order() {
        for threads in [1, 2, 5] {
            for n_tasks in [0, 1, 2, 100] {
                let run = Run::exactly(Level::PORTABLE, threads, &|| false);
                let collect = |done: &mut Vec<usize>, task| {
                    done.push(task);
                    Ok(())
                };
                let states = run.for_each_task(n_tasks, || Ok(Vec::new()), collect).unwrap();
                assert!(states.iter().all(|done| done.is_sorted()));
                let mut done: Vec<usize> = states.concat();
                done.sort_unstable();
                assert_eq!(done, (0..n_tasks).collect::<Vec<_>>());
                assert_eq!(run.map_tasks(n_tasks, || Ok(()), |(), task| Ok(task)).unwrap(), done);
                let mut out = vec![0; n_tasks];
                run.for_each_chunk(&mut out, 7, |index, chunk| {
                    (index * 7..).zip(chunk).for_each(|(task, out)| *out = task);
                    Ok(())
                })
                .unwrap();
                assert_eq!(out, done);
            }
        }
    }

    #[test]
    fn long_tasks_are_told_that_they_should_end() {
        for threads in [1, 2] {
            let run = Run::exactly(Level::PORTABLE, threads, &|| true);
            let begun = Instant::now();
            let work = |_: usize, is_stopped: &dyn Fn() -> bool| {
                while !is_stopped() {
                    std::thread::sleep(Duration::from_millis(1));
                }
                Ok(())
            };
            assert_eq!(run.map_long_tasks(4, work), Err(Error::Interrupted));
            assert!(begun.elapsed() < Duration::from_secs(2));
            let run = Run::exactly(Level::PORTABLE, threads, &|| false);
            assert_eq!(run.map_long_tasks(9, |task, _| Ok(task)), Ok((0..9).collect()));
        }
    }

    #[test]
    fn the_first_error_by_task_is_returned() {
        for threads in [1, 2, 5] {
            let run = Run::exactly(Level::PORTABLE, threads, &|| false);
            let fail = |(): &mut (), task: usize| match task {
                ..20 => Ok(()),
                _ => Err(Error::Row { name: "task", row: task as i64, n_rows: 20 }),
            };
            for _ in 0..50 {
                let error = run.for_each_task(100, || Ok(()), fail).unwrap_err();
                assert_eq!(error, Error::Row { name: "task", row: 20, n_rows: 20 });
            }
        }
    }

    #[test]
    fn a_state_that_cannot_be_made_is_an_error() {
        for threads in [1, 5] {
            let run = Run::exactly(Level::PORTABLE, threads, &|| false);
            let new_state = || -> Result<(), Error> { Err(Error::OutOfMemory) };
            assert_eq!(run.for_each_task(100, new_state, |(), _| Ok(())), Err(Error::OutOfMemory));
        }
    }

    #[test]
    fn work_ends_soon_after_it_was_asked_to_stop() {
        for threads in [1, 2] {
            let run = Run::exactly(Level::PORTABLE, threads, &|| true);
            let begun = Instant::now();
            let work = |(): &mut (), _: usize| {
                std::thread::sleep(Duration::from_millis(1));
                Ok(())
            };
            assert_eq!(run.for_each_task(10_000, || Ok(()), work).unwrap_err(), Error::Interrupted);
            assert!(begun.elapsed() < Duration::from_secs(2));
        }
    }
}
