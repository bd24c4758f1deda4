//! Tells the binaries and tests of this crate where libtorch lies, and compiles the one file of C++.
//!
//! torch-sys finds libtorch through `LIBTORCH` when linking; at run time the loader needs the folder
//! again. The link folder holds symbolic links, so the folder behind them is what gets recorded: it is
//! also where `libtorch_cuda.so` lies when there is one.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-env-changed=LIBTORCH");
    let libtorch = env::var_os("LIBTORCH").ok_or(
        "LIBTORCH does not say where libtorch lies: run ./scripts/setup, then `source scripts/env`",
    )?;
    let libtorch = PathBuf::from(libtorch);
    compile_native(&libtorch)?;
    let linked = libtorch.join("lib");
    println!("cargo::rerun-if-changed={}", linked.join("libtorch.so").display());
    if let Ok(library) = fs::canonicalize(linked.join("libtorch_cpu.so"))
        && let Some(folder) = library.parent()
    {
        // As RUNPATH: LD_LIBRARY_PATH still comes first.
        println!("cargo::rustc-link-arg=-Wl,--enable-new-dtags,-rpath,{}", folder.display());
    }
    Ok(())
}

/// Against the headers that torch-sys was compiled against, and with its flags: the two share objects.
fn compile_native(libtorch: &Path) -> Result<(), Box<dyn Error>> {
    let source = "src/native.cpp";
    println!("cargo::rerun-if-changed={source}");
    println!("cargo::rerun-if-env-changed=LIBTORCH_CXX11_ABI");
    let abi = env::var("LIBTORCH_CXX11_ABI").unwrap_or_else(|_| "1".to_owned());
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .define("_GLIBCXX_USE_CXX11_ABI", abi.as_str())
        // libtorch's headers have more to warn of than this file.
        .warnings(false)
        .include(libtorch.join("include"))
        .file(source)
        .try_compile("sweep_native")?;
    Ok(())
}
