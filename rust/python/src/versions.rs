//! [`Versions`]: a value that threads search while others change it.

use std::cell::{Cell, RefCell};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockWriteGuard, TryLockError};

use fastcodes_core::{Error, Run};
use pyo3::prelude::*;
use pyo3::types::PyCFunction;

use crate::claims::forget_claims;
use crate::runtime::detached;

/// The versions of a value. A search holds the one of the moment when it began: a change that finds it in use makes a new one,
/// and a change that fails changes nothing.
pub struct Versions<T>(Mutex<Arc<T>>);

/// Held for reading by every change, and for writing by a fork, so that the child finds no half-made change and no lock that
/// a thread of its parent holds. It is only waited for without the interpreter's lock.
static CHANGES: RwLock<()> = RwLock::new(());

thread_local! {
    /// Whether this thread is within a change, where a signal handler may fork: it cannot wait for itself.
    static CHANGES_NOW: Cell<bool> = const { Cell::new(false) };
    static FORK: RefCell<Option<RwLockWriteGuard<'static, ()>>> = const { RefCell::new(None) };
}

impl<T: Send + Sync> Versions<T> {
    pub fn new(value: T) -> Self {
        Versions(Mutex::new(Arc::new(value)))
    }

    /// The version of this moment. It waits for changes of other threads.
    pub fn current(&self, py: Python<'_>) -> Arc<T> {
        match self.0.try_lock() {
            Ok(version) => version.clone(),
            Err(TryLockError::Poisoned(version)) => version.into_inner().clone(),
            Err(TryLockError::WouldBlock) => py.detach(|| {
                let _no_fork = CHANGES.read();
                self.lock().clone()
            }),
        }
    }

    /// Changes the value in place if nobody else holds it, or else its copy.
    pub fn change<R: Send>(
        &self,
        py: Python<'_>,
        threads: usize,
        copy: impl FnOnce(&Arc<T>) -> Result<T, Error> + Send,
        change: impl FnOnce(&mut T, &Run<'_>) -> Result<R, Error> + Send,
    ) -> PyResult<R> {
        detached(py, threads, |run| {
            let _no_fork = CHANGES.read();
            let _within = Within::new();
            let mut version = self.lock();
            if let Some(value) = Arc::get_mut(&mut version) {
                return change(value, run);
            }
            let mut changed = copy(&version)?;
            let result = change(&mut changed, run)?;
            *version = Arc::new(changed);
            Ok(result)
        })
    }

    fn lock(&self) -> MutexGuard<'_, Arc<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says that this thread is within a change, until it is dropped.
struct Within;

impl Within {
    fn new() -> Self {
        CHANGES_NOW.set(true);
        Within
    }
}

impl Drop for Within {
    fn drop(&mut self) {
        CHANGES_NOW.set(false);
    }
}

/// Makes forks of the interpreter wait for the end of changes, where there are forks.
pub fn prepare_forks(py: Python<'_>) -> PyResult<()> {
    let os = py.import("os")?;
    if !os.hasattr("register_at_fork")? {
        return Ok(());
    }
    let before = PyCFunction::new_closure(py, None, None, |args, _| {
        args.py().detach(|| {
            if !CHANGES_NOW.get() {
                FORK.replace(Some(CHANGES.write().unwrap_or_else(PoisonError::into_inner)));
            }
        });
    })?;
    let in_parent = PyCFunction::new_closure(py, None, None, |_, _| drop(FORK.take()))?;
    let in_child = PyCFunction::new_closure(py, None, None, |_, _| {
        forget_claims();
        drop(FORK.take());
    })?;
    let hooks = pyo3::types::PyDict::new(py);
    hooks.set_item("before", before)?;
    hooks.set_item("after_in_parent", in_parent)?;
    hooks.set_item("after_in_child", in_child)?;
    os.call_method("register_at_fork", (), Some(&hooks)).map(drop)
}
