//! How the queries of a search are divided.

use std::ops::Range;

use crate::error::try_push;
use crate::{Error, Run};

/// Tasks per thread from which the database is split rather than the queries.
const TASKS_PER_THREAD: usize = 4;

/// Calls `search` with groups of up to `group_len` queries, each with the threads that it may use, and returns the results in order.
/// A search of one group has `n_tasks` tasks: if these are too few for all threads, each thread takes other queries.
pub(crate) fn for_each_group<R: Send>(
    n_queries: usize,
    group_len: usize,
    n_tasks: usize,
    run: &Run<'_>,
    search: impl Fn(Range<usize>, &Run<'_>) -> Result<R, Error> + Sync,
) -> Result<Vec<R>, Error> {
    let wanted = TASKS_PER_THREAD * run.threads();
    let split_database = n_tasks >= wanted || run.threads() == 1;
    let group_len = if split_database { group_len } else { group_len.min(n_queries.div_ceil(wanted)) }.max(1);
    let n_groups = n_queries.div_ceil(group_len);
    let group = |index: usize| index * group_len..n_queries.min((index + 1) * group_len);
    if split_database {
        let mut results = Vec::new();
        for index in 0..n_groups {
            try_push(&mut results, search(group(index), run)?)?;
        }
        return Ok(results);
    }
    let level = run.level();
    run.map_tasks(n_groups, || Ok(()), |(), index| search(group(index), &Run::serial(level)))
}
