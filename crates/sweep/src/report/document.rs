//! A report before it has a form: the same words in the terminal and on a page.

use super::grid::{Column, grid};

/// A report, block by block.
#[derive(Debug, Clone)]
pub struct Document {
    /// What it is about.
    pub heading: String,
    /// What stands below it, from the top.
    pub blocks: Vec<Block>,
}

/// A piece of a report.
#[derive(Debug, Clone)]
pub enum Block {
    /// A heading below which the next blocks stand.
    Section(String),
    /// Some sentences.
    Paragraph(String),
    /// Some sentences that nobody may miss.
    Warning {
        /// What to see at once.
        first: &'static str,
        /// The rest.
        rest: String,
    },
    /// What belongs together.
    List {
        /// The words before it.
        lead: &'static str,
        /// Its items.
        items: Vec<String>,
    },
    /// Lines whose letters stand below each other, such as a path.
    Drawing(String),
    /// Columns side by side; the first table of a report is the sweep's own.
    Table(Vec<Column>),
}

impl Document {
    /// As Markdown.
    pub fn markdown(&self) -> String {
        let heading = format!("# {}\n", self.heading);
        let blocks = self.blocks.iter().map(Block::markdown);
        std::iter::once(heading).chain(blocks).collect::<Vec<_>>().join("\n")
    }
}

impl Block {
    fn markdown(&self) -> String {
        match self {
            Self::Section(heading) => format!("## {heading}\n"),
            Self::Paragraph(text) => format!("{text}\n"),
            Self::Warning { first, rest } => format!("**{first}** {rest}\n"),
            Self::List { lead, items } => {
                // What an error says may have several lines, which belong to one item.
                let items = items.iter().map(|item| format!("- {}\n", item.replace('\n', "\n  ")));
                format!("{lead}\n{}", items.collect::<String>())
            }
            Self::Drawing(lines) => format!("```\n{lines}\n```\n"),
            Self::Table(columns) => grid(columns),
        }
    }
}
