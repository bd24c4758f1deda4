//! The user's commands, told of a night.

use std::path::Path;

use spec::nightly::Nightly;

use super::night::Setting;
use crate::nightly::hooks::{Hook, tell};
use crate::nightly::record::{Summary, Verdict};

impl Setting<'_> {
    /// Tells the user's commands.
    pub(super) fn tell(&self, summary: &Summary) {
        let Nightly { on_finish, on_regression, .. } = self.nightly;
        let regression = on_regression.as_ref().filter(|_| summary.verdict == Verdict::Regression);
        let hooks = [("on_regression", regression), ("on_finish", on_finish.as_ref())];
        for (name, command) in hooks {
            if let Some(command) = command {
                self.tell_one(name, command, summary);
            }
        }
    }

    fn tell_one(&self, name: &str, command: &str, summary: &Summary) {
        let folder = self.nightly.file.parent().filter(|folder| *folder != Path::new(""));
        let absolute = |path: &Path| {
            std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
        };
        let night = self.nights.dir().night(&summary.night);
        let environment = [
            ("SWEEP_NIGHT", summary.night.clone()),
            ("SWEEP_NIGHT_FOLDER", absolute(night.root())),
            ("SWEEP_NIGHT_REPORT", absolute(&night.report())),
            ("SWEEP_NIGHT_PAGE", absolute(&night.page())),
            ("SWEEP_NIGHT_VERDICT", summary.verdict.words().to_owned()),
            ("SWEEP_NIGHT_EXIT_CODE", summary.exit_code.to_string()),
        ];
        let stdin = match serde_json::to_vec_pretty(summary) {
            Ok(json) => json,
            Err(error) => unreachable!("plain data always becomes JSON: {error}"),
        };
        let told = tell(&Hook {
            command,
            folder: folder.unwrap_or(Path::new(".")),
            environment: &environment,
            stdin: &stdin,
            limit: self.nightly.hook_time_limit,
        });
        if let Err(error) = self.nights.keep_log(&summary.night, name, &told.said) {
            self.console.warn(&format!("what {name} said is not kept: {error}"));
        }
        if let Some(trouble) = told.trouble() {
            let log = night.hook_log(name);
            self.console.warn(&format!("{name} {trouble}; it said {}", log.display()));
        }
    }
}
