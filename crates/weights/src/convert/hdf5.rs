//! The tensors of an HDF5 file: its datasets and where in the tree of groups they are.

use std::collections::HashSet;

use hdf5_reader::group::Group;
use hdf5_reader::{Dataset, Datatype, Hdf5File, OpenOptions};
use safetensors::Dtype;

use super::{Budget, Tensor};
use crate::MOST_BYTES;

/// A file that cannot be read.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum Hdf5Error {
    #[error("the HDF5 file is damaged, or uses what Keras does not: {0}")]
    Damaged(#[from] hdf5_reader::error::Error),
    #[error("{path} holds {datatype}, which is no type of weights")]
    Datatype { path: String, datatype: String },
    #[error("its tensors take more memory than any weights do, up to {path}")]
    TooLarge { path: String },
    #[error("its groups lie deeper than {DEEPEST} levels or lead back to themselves, at {path}")]
    Deep { path: String },
}

/// Keras nests a model in a model in a few levels.
const DEEPEST: usize = 16;

/// A tree of groups.
pub(super) struct Tree(Group);

/// A dataset in a tree.
pub(super) struct Node<'a> {
    /// Names of the groups around it, the outermost first.
    pub(super) groups: &'a [String],
    /// Its own name.
    pub(super) name: &'a str,
    /// The group that it is in.
    pub(super) parent: &'a Group,
    /// What it holds.
    pub(super) tensor: Tensor,
}

impl Tree {
    pub(super) fn open(bytes: Vec<u8>) -> Result<Self, Hdf5Error> {
        let options = OpenOptions::default().with_max_read_bytes(MOST_BYTES as usize);
        Ok(Self(Hdf5File::from_vec_with_options(bytes, options)?.root_group()?))
    }

    /// The names of its outermost groups.
    pub(super) fn groups(&self) -> Result<Vec<String>, Hdf5Error> {
        Ok(self.0.member_names()?.0)
    }

    /// The tree below one of its groups.
    pub(super) fn below(&self, group: &str) -> Result<Self, Hdf5Error> {
        Ok(Self(self.0.group(group)?))
    }

    /// Visits every dataset but those in the outermost groups `without`.
    pub(super) fn visit<E: From<Hdf5Error>>(
        &self,
        without: &[&str],
        mut visit: impl FnMut(Node<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut walk = Walk { budget: Budget::new(), seen: HashSet::new(), without };
        walk.group(&self.0, &mut Vec::new(), &mut visit)
    }
}

struct Walk<'a> {
    budget: Budget,
    /// Addresses of groups: one that is met again, or inside itself, is no tree.
    seen: HashSet<u64>,
    without: &'a [&'a str],
}

impl Walk<'_> {
    fn group<E: From<Hdf5Error>>(
        &mut self,
        group: &Group,
        path: &mut Vec<String>,
        visit: &mut impl FnMut(Node<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        if path.len() > DEEPEST || !self.seen.insert(group.address()) {
            return Err(Hdf5Error::Deep { path: path.join("/") }.into());
        }
        let (groups, datasets) = group.members().map_err(Hdf5Error::from)?;
        for dataset in datasets {
            let tensor = self.tensor(&dataset, path)?;
            visit(Node { groups: path, name: dataset.name(), parent: group, tensor })?;
        }
        for inner in groups {
            if path.is_empty() && self.without.contains(&inner.name()) {
                continue;
            }
            path.push(inner.name().to_owned());
            self.group(&inner, path, visit)?;
            path.pop();
        }
        Ok(())
    }

    fn tensor(&mut self, dataset: &Dataset, path: &[String]) -> Result<Tensor, Hdf5Error> {
        let path = || format!("{}/{}", path.join("/"), dataset.name());
        let too_large = || Hdf5Error::TooLarge { path: path() };
        let dtype = dtype(dataset.dtype()).ok_or_else(|| Hdf5Error::Datatype {
            path: path(),
            datatype: format!("{:?}", dataset.dtype()),
        })?;
        let shape = dataset.shape().iter().map(|&size| usize::try_from(size));
        let shape: Vec<usize> = shape.collect::<Result<_, _>>().map_err(|_| too_large())?;
        let bytes = self.budget.take(&shape, dtype.bitsize() / 8).ok_or_else(too_large)?;
        let mut data = dataset.read_native_bytes()?;
        if cfg!(target_endian = "big") {
            data.chunks_exact_mut(dtype.bitsize() / 8).for_each(<[u8]>::reverse);
        }
        if data.len() != bytes {
            return Err(too_large());
        }
        Ok(Tensor { dtype, shape, data })
    }
}

fn dtype(datatype: &Datatype) -> Option<Dtype> {
    Some(match datatype {
        Datatype::FloatingPoint { size: 2, .. } => Dtype::F16,
        Datatype::FloatingPoint { size: 4, .. } => Dtype::F32,
        Datatype::FloatingPoint { size: 8, .. } => Dtype::F64,
        Datatype::FixedPoint { size: 1, signed: true, .. } => Dtype::I8,
        Datatype::FixedPoint { size: 2, signed: true, .. } => Dtype::I16,
        Datatype::FixedPoint { size: 4, signed: true, .. } => Dtype::I32,
        Datatype::FixedPoint { size: 8, signed: true, .. } => Dtype::I64,
        Datatype::FixedPoint { size: 1, .. } => Dtype::U8,
        Datatype::FixedPoint { size: 2, .. } => Dtype::U16,
        Datatype::FixedPoint { size: 4, .. } => Dtype::U32,
        Datatype::FixedPoint { size: 8, .. } => Dtype::U64,
        _ => return None,
    })
}
