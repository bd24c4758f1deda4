//! The training core and its worker.
//!
//! A run is the training of everything behind a *cut*: the features that the frozen prefix of a
//! backbone gives for each image are computed once ([`features`]), and the layers behind it, the
//! pooling and the head train on them ([`model`], [`fit`]). With nothing frozen the cut is the image,
//! with everything frozen it lies behind the pooling; it is one training path. [`worker`] takes orders
//! and sends events as [`spec::protocol`] has them. Nothing here knows a file of the orchestrator's.

pub mod allocator;
mod answers;
pub mod auc;
pub mod augment;
pub mod backbones;
pub mod batches;
pub mod callbacks;
pub mod checkpoint;
pub mod course;
pub mod data;
pub mod device;
pub mod extract;
pub mod features;
pub mod fit;
pub mod graph;
pub mod head;
pub mod lane;
pub mod lanes;
pub mod layers;
pub mod library;
pub mod link;
pub mod loaded;
pub mod looks;
pub mod loss;
pub mod model;
mod native;
pub mod optimizer;
pub mod preprocess;
pub mod random;
mod recent;
mod task;
pub mod together;
pub mod trainer;
pub mod weights;
pub mod worker;
