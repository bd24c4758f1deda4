//! One dense layer and the one pass over it that a training step is.

use spec::config::Optimizer;

use super::rule::{Parameters, Rule};
use super::table::{Table, write};
use super::vector::{TILE, Tile, VECTORS, Vector, WIDTH, Work, do_with_vectors, each_vector};

/// A dense layer with its optimiser, on the rows of a [`Table`], and the batches on their way through
/// it: one whose gradient is followed, and the next, whose logits are asked for.
///
/// A pass reads each feature once. Its gradient comes from the one batch, the optimiser changes its
/// parameters, and they give its share of the logits of the other.
#[derive(Debug, Clone)]
pub struct Columns {
    optimizer: Optimizer,
    steps: i32,
    features: usize,
    /// The kernel of each logit, tile by tile.
    kernels: Vec<Vec<Parameters>>,
    /// One number for each logit, tile by tile.
    bias: Vec<Parameters>,
    followed: Followed,
    /// Rows of the table.
    asked: Vec<u32>,
    /// Sixteen parts of each logit that is asked for, its bias left out, `[logits, rows]`.
    parts: Vec<Vector>,
}

/// A batch whose gradient is followed.
#[derive(Debug, Clone, Default)]
struct Followed {
    /// The optimiser's step; absent once it is taken.
    rule: Option<Rule>,
    /// Rows of the table.
    rows: Vec<u32>,
    /// The derivatives by the logits, `[logits, rows]`.
    by_logits: Vec<f32>,
}

/// The parameters of a layer at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    kernels: Vec<Vec<Tile>>,
    bias: Vec<Tile>,
}

impl Columns {
    /// A layer before its first step. `kernel` is `[features, logits]`, as Keras has it, and `bias`
    /// `[logits]`, at least one.
    pub fn new(kernel: &[f32], bias: &[f32], optimizer: Optimizer) -> Self {
        let logits = bias.len();
        let kernels = (0..logits).map(|logit| {
            let column: Vec<f32> = kernel.iter().skip(logit).step_by(logits).copied().collect();
            in_tiles(&column)
        });
        Self {
            optimizer,
            steps: 0,
            features: kernel.len() / logits,
            kernels: kernels.collect(),
            bias: in_tiles(bias),
            followed: Followed::default(),
            asked: Vec::new(),
            parts: Vec::new(),
        }
    }

    /// Asks for the logits of these rows: [`pass`] finds them.
    pub fn ask(&mut self, rows: impl IntoIterator<Item = u32>) {
        self.asked.clear();
        self.asked.extend(rows);
        self.parts.clear();
        self.parts.resize(self.asked.len() * self.kernels.len(), Vector::ZERO);
    }

    /// The rows asked for.
    pub fn asked(&self) -> &[u32] {
        &self.asked
    }

    /// Their logits, `[rows, logits]`, with the parameters of now; after a pass.
    pub fn logits(&self, logits: &mut Vec<f32>) {
        with_bias(&self.parts, self.asked.len(), &self.bias, logits);
    }

    /// Follows the gradient of the rows asked for: [`pass`] does it. `by_logits`, `[rows, logits]`, are
    /// the loss's derivatives.
    pub fn follow(&mut self, by_logits: &[f32], learning_rate: f64) {
        self.steps = self.steps.saturating_add(1);
        let Followed { rule, rows, by_logits: turned } = &mut self.followed;
        *rule = Some(Rule::at(self.optimizer, self.steps, learning_rate));
        std::mem::swap(rows, &mut self.asked);
        let logits = self.kernels.len();
        turned.clear();
        for logit in 0..logits {
            turned.extend(by_logits.iter().skip(logit).step_by(logits));
        }
    }

    /// The logits of `rows` of any table of as many features, `[rows, logits]`.
    pub fn measure(&self, table: &Table, rows: &[u32]) -> Vec<f32> {
        let mut parts = vec![Vector::ZERO; rows.len() * self.kernels.len()];
        do_with_vectors(Measuring { columns: self, table, rows, parts: &mut parts });
        let mut logits = Vec::new();
        with_bias(&parts, rows.len(), &self.bias, &mut logits);
        logits
    }

    /// The parameters of now.
    pub fn snapshot(&self) -> Snapshot {
        let values = |tiles: &Vec<Parameters>| tiles.iter().map(|tile| tile.values).collect();
        Snapshot { kernels: self.kernels.iter().map(values).collect(), bias: values(&self.bias) }
    }

    /// Goes back to the parameters of `snapshot`.
    pub fn restore(&mut self, snapshot: &Snapshot) {
        let kept = snapshot.kernels.iter().chain([&snapshot.bias]);
        for (tiles, kept) in self.kernels.iter_mut().chain([&mut self.bias]).zip(kept) {
            for (tile, kept) in tiles.iter_mut().zip(kept) {
                tile.values = *kept;
            }
        }
    }

    /// The kernel, `[features, logits]`.
    pub fn kernel(&self) -> Vec<f32> {
        let feature = |feature: usize| {
            self.kernels.iter().map(move |kernel| number(&kernel[feature / TILE], feature % TILE))
        };
        (0..self.features).flat_map(feature).collect()
    }

    /// The bias, `[logits]`.
    pub fn bias(&self) -> Vec<f32> {
        (0..self.kernels.len())
            .map(|logit| number(&self.bias[logit / TILE], logit % TILE))
            .collect()
    }

    /// What a pass does on one tile of features.
    #[inline(always)]
    fn pass_tile(&mut self, tile: usize, table: &[Tile]) {
        let asked = self.asked.len();
        let Followed { rule, rows, by_logits } = &self.followed;
        for (logit, kernel) in self.kernels.iter_mut().enumerate() {
            let parameters = &mut kernel[tile];
            if let Some(rule) = rule {
                let by_logit = &by_logits[logit * rows.len()..][..rows.len()];
                rule.step(parameters, &gradient(table, rows, by_logit));
            }
            let parts = &mut self.parts[logit * asked..][..asked];
            add_products(table, &self.asked, &parameters.values, parts);
        }
    }

    /// What a pass does on the bias, at its end.
    #[inline(always)]
    fn pass_bias(&mut self) {
        let Followed { rule, rows, by_logits } = &mut self.followed;
        let Some(rule) = rule.take() else { return };
        let mut sums = by_logits.chunks_exact(rows.len().max(1)).map(|of| of.iter().sum::<f32>());
        for tile in &mut self.bias {
            let mut gradient = [Vector::ZERO; VECTORS];
            for (number, sum) in gradient.iter_mut().flat_map(|vector| &mut vector.0).zip(&mut sums)
            {
                *number = sum;
            }
            rule.step(tile, &gradient);
        }
    }
}

/// Follows the gradient of each layer, where it has one, and finds the logits that it is asked for. The
/// layers share `table` and nothing else: each computes what it would compute alone.
pub fn pass<C: AsMut<Columns>>(table: &Table, layers: &mut [C]) {
    do_with_vectors(Pass { table, layers });
}

struct Pass<'a, C> {
    table: &'a Table,
    layers: &'a mut [C],
}

impl<C: AsMut<Columns>> Work for Pass<'_, C> {
    #[inline(always)]
    fn work(self) {
        for (tile, table) in self.table.tiles().enumerate() {
            for layer in &mut *self.layers {
                layer.as_mut().pass_tile(tile, table);
            }
        }
        for layer in self.layers {
            layer.as_mut().pass_bias();
        }
    }
}

struct Measuring<'a> {
    columns: &'a Columns,
    table: &'a Table,
    rows: &'a [u32],
    parts: &'a mut [Vector],
}

impl Work for Measuring<'_> {
    #[inline(always)]
    fn work(self) {
        for (tile, table) in self.table.tiles().enumerate() {
            let parts = self.parts.chunks_exact_mut(self.rows.len().max(1));
            for (kernel, parts) in self.columns.kernels.iter().zip(parts) {
                add_products(table, self.rows, &kernel[tile].values, parts);
            }
        }
    }
}

/// The sum over `rows` of features times derivative.
#[inline(always)]
fn gradient(table: &[Tile], rows: &[u32], by_logit: &[f32]) -> Tile {
    let mut gradient = [Vector::ZERO; VECTORS];
    for (row, by_logit) in rows.iter().zip(by_logit) {
        let (features, by_logit) = (&table[*row as usize], Vector::all(*by_logit));
        each_vector!(AT, gradient[AT] = features[AT].mul_add(by_logit, gradient[AT]));
    }
    gradient
}

/// Adds features times kernel to the parts of each row's logit.
#[inline(always)]
fn add_products(table: &[Tile], rows: &[u32], kernel: &Tile, parts: &mut [Vector]) {
    let kernel = *kernel;
    for (row, part) in rows.iter().zip(parts) {
        let features = &table[*row as usize];
        let mut sum = *part;
        each_vector!(AT, sum = features[AT].mul_add(kernel[AT], sum));
        *part = sum;
    }
}

/// Logits, `[rows, logits]`, of their parts, `[logits, rows]`.
fn with_bias(parts: &[Vector], rows: usize, bias: &[Parameters], logits: &mut Vec<f32>) {
    let columns = parts.len() / rows.max(1);
    logits.clear();
    for row in 0..rows {
        for logit in 0..columns {
            let bias = number(&bias[logit / TILE], logit % TILE);
            logits.push(parts[logit * rows + row].sum() + bias);
        }
    }
}

fn in_tiles(numbers: &[f32]) -> Vec<Parameters> {
    let tile = |numbers: &[f32]| {
        let mut tile = Parameters::ZERO;
        write(&mut tile.values, numbers);
        tile
    };
    numbers.chunks(TILE).map(tile).collect()
}

fn number(tile: &Parameters, at: usize) -> f32 {
    tile.values[at / WIDTH].0[at % WIDTH]
}
