//! The peers and the load generator: nginx and wrk from Debian's packages, sglang-router from PyPI, in the cache folder.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;

use crate::{apt::Apt, cache::Cache, python_venv};

/// The release that the budgets name as the peer to be ahead of.
const SGLANG_ROUTER: &str = "sglang-router==0.3.2\n";

/// Where the programs are.
#[derive(Debug)]
pub struct Tools {
    root: PathBuf,
    python: PathBuf,
}

impl Tools {
    /// Fetch what is missing.
    pub fn open(cache: &Cache) -> Result<Self> {
        let dir = cache.folder("bench-tools", |dir| {
            let apt = Apt::new(dir)?;
            let mut packages = vec!["nginx".to_owned(), "wrk".to_owned()];
            apt.download(&packages)?;
            for package in packages.clone() {
                packages.extend(apt.download_missing_libraries(&package)?);
            }
            apt.unpack(&packages, &dir.join("root"))
        })?;
        let python = python_venv::open(cache, "sglang-router", SGLANG_ROUTER)?.join("bin/python");
        Ok(Self { root: dir.join("root"), python })
    }

    /// The load generator.
    pub fn wrk(&self) -> Command {
        self.program("usr/bin/wrk")
    }

    /// The plain proxy.
    pub fn nginx(&self) -> Command {
        self.program("usr/sbin/nginx")
    }

    /// The gateway to compare with.
    pub fn sglang_router(&self) -> Command {
        let mut command = Command::new(&self.python);
        command.args(["-m", "sglang_router.launch_router"]);
        command
    }

    fn program(&self, path: &str) -> Command {
        let mut command = Command::new(self.root.join(path));
        command.env("LD_LIBRARY_PATH", libraries(&self.root));
        command
    }
}

fn libraries(root: &Path) -> OsString {
    root.join("usr/lib").join(format!("{}-linux-gnu", env::consts::ARCH)).into_os_string()
}
