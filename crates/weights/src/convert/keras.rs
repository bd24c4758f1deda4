//! What Keras writes. Variables are named `<layer>/<variable>`, such as `conv1_conv/kernel`.
//!
//! - Keras 3, `model.save_weights("x.weights.h5")`: `layers/<kind>_<n>/vars/<i>`, where the attribute
//!   `name` of `vars` is the layer's. Which variable the i-th one is follows from the kind of layer
//!   (<https://github.com/keras-team/keras/blob/master/keras/src/saving/saving_lib.py>).
//! - Keras 3, `model.save("x.keras")`: a zip archive with such a file in it.
//! - Keras 1 to 3, `model.save("x.h5")` and the files of `keras.applications`:
//!   `<layer>/<layer>/<variable>`, below `model_weights` when the model is there too.

use hdf5_reader::group::Group;

use super::Tensors;
use super::hdf5::{Hdf5Error, Node, Tree};
use super::zip::{Archive, ZipError};

/// The weights in a `.keras` archive.
pub(super) const MEMBER: &str = "model.weights.h5";

/// A file that is refused.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum KerasError {
    #[error(transparent)]
    Zip(#[from] ZipError),
    #[error(transparent)]
    Hdf5(#[from] Hdf5Error),
    #[error(
        "{path} does not say its layer's name, as files of the first versions of Keras 3 do: load the \
         model in a newer Keras and save it again"
    )]
    Unnamed { path: String },
    #[error("{path} has {count} variables, and what they are is not known for such a layer")]
    Variables { path: String, count: usize },
    #[error("two variables are called {0}")]
    Twice(String),
    #[error("{0} lies outside of any layer")]
    NoLayer(String),
    #[error("it holds no weights")]
    Empty,
}

pub(super) fn read_archive(mut archive: Archive<'_>) -> Result<Tensors, KerasError> {
    match archive.find(MEMBER) {
        Some(number) => read(archive.read(number)?),
        None => Err(KerasError::Empty),
    }
}

pub(super) fn read(bytes: Vec<u8>) -> Result<Tensors, KerasError> {
    let tree = Tree::open(bytes)?;
    let groups = tree.groups()?;
    let has = |name: &str| groups.iter().any(|group| group == name);
    let tensors = if has("model_weights") {
        legacy(&tree.below("model_weights")?)?
    } else if has("layers") || has("_layer_checkpoint_dependencies") {
        current(&tree)?
    } else {
        legacy(&tree)?
    };
    if tensors.is_empty() { Err(KerasError::Empty) } else { Ok(tensors) }
}

/// `<layer>/<variable>`, wherever in the tree; Keras 2 appends `:0`.
fn legacy(tree: &Tree) -> Result<Tensors, KerasError> {
    let mut tensors = Tensors::new();
    tree.visit(&["optimizer_weights", "top_level_model_weights"], |node| {
        let variable = node.name.trim_end_matches(":0");
        let Some(layer) = node.groups.last() else {
            return Err(KerasError::NoLayer(node.name.to_owned()));
        };
        insert(&mut tensors, format!("{layer}/{variable}"), node)
    })?;
    Ok(tensors)
}

fn current(tree: &Tree) -> Result<Tensors, KerasError> {
    let mut tensors = Tensors::new();
    tree.visit(&["optimizer", "vars"], |node| {
        let path = node.groups.join("/");
        let [.., group, vars] = node.groups else { return Err(KerasError::NoLayer(path)) };
        if vars != "vars" {
            return Err(KerasError::NoLayer(path));
        }
        let Some(layer) = layer_name(node.parent)? else {
            return Err(KerasError::Unnamed { path });
        };
        let count = node.parent.member_names().map_err(Hdf5Error::from)?.1.len();
        let kind = group.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches('_');
        let variable = node.name.parse().ok().and_then(|number| variable(kind, count, number));
        let Some(variable) = variable else { return Err(KerasError::Variables { path, count }) };
        insert(&mut tensors, format!("{layer}/{variable}"), node)
    })?;
    Ok(tensors)
}

fn insert(tensors: &mut Tensors, name: String, node: Node<'_>) -> Result<(), KerasError> {
    match tensors.insert(name.clone(), node.tensor) {
        None => Ok(()),
        Some(_) => Err(KerasError::Twice(name)),
    }
}

fn layer_name(vars: &Group) -> Result<Option<String>, Hdf5Error> {
    let attributes = vars.attributes()?;
    let Some(name) = attributes.iter().find(|attribute| attribute.name == "name") else {
        return Ok(None);
    };
    let strings = name.read_vlen_strings(&vars.file_data()?, vars.offset_size())?;
    Ok(strings.into_iter().next().filter(|name| !name.is_empty()))
}

/// The name of the `number`-th of a layer's `count` variables.
///
/// A normalisation with three lacks its scale, as in the Inception family; Keras's own networks never
/// leave out the shift instead, and the file could not tell.
fn variable(kind: &str, count: usize, number: usize) -> Option<&'static str> {
    let names: &[&str] = match (kind, count) {
        ("batch_normalization", 4) => &["gamma", "beta", "moving_mean", "moving_variance"],
        ("batch_normalization", 3) => &["beta", "moving_mean", "moving_variance"],
        ("batch_normalization", 2) => &["moving_mean", "moving_variance"],
        ("normalization", 3) => &["mean", "variance", "count"],
        ("separable_conv2d", 2 | 3) => &["depthwise_kernel", "pointwise_kernel", "bias"],
        (kind, 1 | 2) if kind == "dense" || kind.contains("conv") => &["kernel", "bias"],
        _ => return None,
    };
    names.get(number).copied()
}
