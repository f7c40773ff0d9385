//! All rows within a radius of each query.

use super::{TableSearch, with_width};
use crate::adc::Tables;
use crate::adc::layout::Blocks;
use crate::error::try_collect;
use crate::select::keys::{beyond, value_of};
use crate::select::sink::Below;
use crate::{Csr, Error, Mask, Run};

/// Finds all rows with a sum of at most `radius` for each query, sorted by (sum, index).
///
/// # Errors
/// If tables and codes do not go together, a code names no codeword, the mask does not fit the codes, the memory does
/// not suffice, or the call was interrupted.
pub fn radius(
    tables: Tables<'_>,
    blocks: Blocks<'_>,
    radius: f32,
    mask: Mask<'_>,
    run: &Run<'_>,
) -> Result<Csr<f32>, Error> {
    with_width!(radius_of(tables, blocks, radius, mask, run))
}

fn radius_of<const N: usize>(
    tables: Tables<'_>,
    blocks: Blocks<'_>,
    radius: f32,
    mask: Mask<'_>,
    run: &Run<'_>,
) -> Result<Csr<f32>, Error> {
    let search = TableSearch::<N>::new(tables, blocks, mask, run)?;
    let groups = search.for_each_group(usize::MAX, run, |group, run| {
        let parts = search.visit(&group, &Below::new(beyond(radius)), run)?;
        let found = Below::merge(parts, |found| (found.query, found.key, found.id))?;
        Ok((try_collect(group.queries)?, found))
    })?;
    Csr::from_blocks(search.n_queries, &groups, f32::INFINITY, value_of)
}
