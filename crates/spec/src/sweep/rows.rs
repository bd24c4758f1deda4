//! The configurations that stand side by side in a sweep's table.

use super::{Factor, Setting, Strategy, Sweep};
use crate::config::Config;

/// A configuration in a table; its replicates are the table's row.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// A level of each factor that the row is about; none where the sweep has no factors.
    pub settings: Vec<Setting>,
    /// What trains.
    pub config: Config,
    /// Whether it is what the others are compared with.
    pub baseline: bool,
    /// Whether it is there for an interaction alone, and not compared by itself.
    pub cell: bool,
}

impl Sweep {
    /// The rows of the table; of a chain, of its first stage. Every table has its baseline, as the first
    /// row where the file does not list it, for nobody could tell what the levels are compared with. With
    /// one factor at a time each factor has it.
    pub fn rows(&self) -> Vec<Row> {
        let combinations = self.combinations.iter().map(|combination| Row {
            settings: combination.settings.clone(),
            config: combination.config.clone(),
            baseline: combination.config == self.baseline,
            cell: self.strategy == Strategy::Ofat,
        });
        match self.strategy {
            _ if self.factors.is_empty() => vec![self.baseline_row(Vec::new())],
            Strategy::Ofat => {
                let levels =
                    self.factors.iter().flat_map(|factor| stage_rows(factor, &self.baseline));
                levels.chain(combinations).collect()
            }
            Strategy::Chain { .. } => self
                .factors
                .iter()
                .take(1)
                .flat_map(|factor| stage_rows(factor, &self.baseline))
                .collect(),
            Strategy::Grid | Strategy::Random { .. } => {
                let mut rows: Vec<Row> = combinations.collect();
                if !rows.iter().any(|row| row.baseline) {
                    let setting = |factor: &Factor| Setting {
                        factor: factor.name.clone(),
                        level: factor.baseline.clone(),
                    };
                    rows.insert(0, self.baseline_row(self.factors.iter().map(setting).collect()));
                }
                rows
            }
        }
    }

    fn baseline_row(&self, settings: Vec<Setting>) -> Row {
        Row { settings, config: self.baseline.clone(), baseline: true, cell: false }
    }
}

/// The rows of one factor: its levels, and first the baseline where it is none of them.
pub fn stage_rows(factor: &Factor, baseline: &Config) -> Vec<Row> {
    let row = |level: &str, config: &Config, baseline| Row {
        settings: vec![Setting { factor: factor.name.clone(), level: level.to_owned() }],
        config: config.clone(),
        baseline,
        cell: false,
    };
    let levels = factor.levels.iter().map(|level| row(&level.label, &level.config, level.baseline));
    let unlisted = !factor.levels.iter().any(|level| level.baseline);
    let own = unlisted.then(|| row(&factor.baseline, baseline, true));
    own.into_iter().chain(levels).collect()
}
