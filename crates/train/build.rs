//! Tells the binaries and tests of this crate where libtorch lies.
//!
//! torch-sys finds libtorch through `LIBTORCH` when linking; at run time the loader needs the folder
//! again. The link folder holds symbolic links, so the folder behind them is what gets recorded: it is
//! also where `libtorch_cuda.so` lies when there is one.

use std::path::PathBuf;
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-env-changed=LIBTORCH");
    // Without LIBTORCH torch-sys has failed already, and said why.
    let Some(libtorch) = env::var_os("LIBTORCH") else { return };
    let linked = PathBuf::from(libtorch).join("lib");
    println!("cargo::rerun-if-changed={}", linked.join("libtorch.so").display());
    if let Ok(library) = fs::canonicalize(linked.join("libtorch_cpu.so"))
        && let Some(folder) = library.parent()
    {
        // RUNPATH, not RPATH: LD_LIBRARY_PATH then comes first.
        println!("cargo::rustc-link-arg=-Wl,--enable-new-dtags,-rpath,{}", folder.display());
    }
}
