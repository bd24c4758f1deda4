//! The head: dense layers on pooled features, their gradients, and how they begin.
//!
//! What lies behind the head is differentiated automatically; the head's own gradient is written down,
//! which makes a step of head-only training several times cheaper.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use spec::config::{self, KernelInitializer};
use tch::{Device, Kind, TchError, Tensor};

use crate::native::send;
use crate::random;

/// How a head is built.
#[derive(Debug, Clone, Default)]
pub struct Design {
    /// Units of each hidden layer.
    pub hidden: Vec<u32>,
    /// Share of numbers that dropout sets to 0 in training: after each hidden layer, or of the features
    /// where there is none.
    pub dropout: f64,
    /// How kernels begin.
    pub initializer: KernelInitializer,
}

impl Design {
    /// As the configuration has it.
    pub fn of(model: &config::Model) -> Self {
        Self {
            hidden: model.hidden.clone(),
            dropout: model.dropout,
            initializer: model.kernel_initializer,
        }
    }
}

/// Dense layers with ReLU between them. The last gives logits.
#[derive(Debug)]
pub struct Head {
    /// At least one.
    layers: Vec<Dense>,
    dropout: f64,
    /// What dropout is drawn from.
    rng: ChaCha8Rng,
}

/// A dense layer: `inputs x kernel + bias`.
#[derive(Debug)]
pub struct Dense {
    /// `[inputs, units]`.
    pub kernel: Tensor,
    /// `[units]`.
    pub bias: Tensor,
}

/// What a training step keeps of its way through the head.
#[derive(Debug)]
pub struct Trace {
    /// What each layer read.
    inputs: Vec<Tensor>,
    /// What dropout multiplied it with before.
    masks: Vec<Option<Tensor>>,
    /// `[images, logits]`.
    pub logits: Tensor,
}

impl Dense {
    /// A layer before its first step, with zero bias.
    ///
    /// # Errors
    /// What libtorch says, such as that memory ran out.
    pub fn draw(
        rng: &mut ChaCha8Rng,
        initializer: KernelInitializer,
        [inputs, units]: [i64; 2],
        device: Device,
    ) -> Result<Self, TchError> {
        let kernel = draw_kernel(rng, initializer, inputs as usize, units as usize);
        Ok(Self {
            kernel: Tensor::f_from_slice(&kernel)?
                .f_reshape([inputs, units])?
                .f_to_device(device)?,
            bias: Tensor::f_zeros([units], (Kind::Float, device))?,
        })
    }

    fn apply(&self, inputs: &Tensor) -> Result<Tensor, TchError> {
        self.bias.f_addmm(inputs, &self.kernel)
    }
}

/// A kernel, `[inputs, units]`, as Keras's `VarianceScaling` draws it.
/// <https://github.com/keras-team/keras/blob/master/keras/src/initializers/random_initializers.py>
pub(crate) fn draw_kernel(
    rng: &mut ChaCha8Rng,
    initializer: KernelInitializer,
    inputs: usize,
    units: usize,
) -> Vec<f32> {
    use KernelInitializer::{
        GlorotNormal, GlorotUniform, HeNormal, HeUniform, LecunNormal, LecunUniform,
    };
    let (fan_in, fan_avg) = (inputs as f64, (inputs + units) as f64 / 2.0);
    let variance = match initializer {
        GlorotUniform | GlorotNormal => 1.0 / fan_avg,
        HeUniform | HeNormal => 2.0 / fan_in,
        LecunUniform | LecunNormal => 1.0 / fan_in,
    };
    match initializer {
        GlorotUniform | HeUniform | LecunUniform => {
            random::uniform(rng, (3.0 * variance).sqrt(), inputs * units)
        }
        GlorotNormal | HeNormal | LecunNormal => {
            random::truncated_normal(rng, variance.sqrt(), inputs * units)
        }
    }
}

impl Head {
    /// A head before its first step. `rng` gives the kernels, `dropout_rng` what dropout drops.
    ///
    /// # Errors
    /// What libtorch says, such as that memory ran out.
    pub fn draw(
        design: &Design,
        [features, logits]: [i64; 2],
        rng: &mut ChaCha8Rng,
        dropout_rng: ChaCha8Rng,
        device: Device,
    ) -> Result<Self, TchError> {
        let mut inputs = features;
        let mut layers = Vec::new();
        for units in design.hidden.iter().copied().map(i64::from).chain([logits]) {
            layers.push(Dense::draw(rng, design.initializer, [inputs, units], device)?);
            inputs = units;
        }
        Ok(Self { layers, dropout: design.dropout, rng: dropout_rng })
    }

    /// How far the stream is that dropout draws from.
    pub fn drawn(&self) -> u128 {
        self.rng.get_word_pos()
    }

    /// Goes on from there.
    pub fn set_drawn(&mut self, drawn: u128) {
        self.rng.set_word_pos(drawn);
    }

    /// A head of these layers, at least one, without dropout.
    pub fn of(layers: Vec<Dense>, rng: ChaCha8Rng) -> Self {
        Self { layers, dropout: 0.0, rng }
    }

    /// Its layers, in the order in which they are applied.
    pub fn layers(&self) -> &[Dense] {
        &self.layers
    }

    /// Kernel and bias of each layer, in order.
    pub fn parameters(&self) -> impl Iterator<Item = &Tensor> {
        self.layers.iter().flat_map(|layer| [&layer.kernel, &layer.bias])
    }

    /// The logits of `features`, as the trained head gives them: `[images, features]` becomes
    /// `[images, logits]`.
    ///
    /// # Errors
    /// What libtorch says, such as that memory ran out.
    pub fn logits(&self, features: &Tensor) -> Result<Tensor, TchError> {
        let mut output = features.shallow_clone();
        for (index, layer) in self.layers.iter().enumerate() {
            if index > 0 {
                output = output.f_relu_()?;
            }
            output = layer.apply(&output)?;
        }
        Ok(output)
    }

    /// The way of `features` through the head in a training step.
    ///
    /// # Errors
    /// What libtorch says, such as that memory ran out.
    pub fn train(&mut self, features: &Tensor) -> Result<Trace, TchError> {
        let (mut inputs, mut masks) = (Vec::new(), Vec::new());
        let mut output = features.shallow_clone();
        for index in 0..self.layers.len() {
            if index > 0 {
                output = output.f_relu_()?;
            }
            let mask = match index > 0 || self.layers.len() == 1 {
                true => self.mask(&output)?,
                false => None,
            };
            if let Some(mask) = &mask {
                output = output.f_mul(mask)?;
            }
            let next = self.layers[index].apply(&output)?;
            inputs.push(output);
            masks.push(mask);
            output = next;
        }
        Ok(Trace { inputs, masks, logits: output })
    }

    /// What dropout multiplies `of` with: 0, or so much more that the mean stays.
    fn mask(&mut self, of: &Tensor) -> Result<Option<Tensor>, TchError> {
        if self.dropout == 0.0 {
            return Ok(None);
        }
        let kept = (1.0 / (1.0 - self.dropout)) as f32;
        let draws: Vec<f32> = (0..of.numel())
            .map(|_| if self.rng.random::<f64>() < self.dropout { 0.0 } else { kept })
            .collect();
        send(&Tensor::f_from_slice(&draws)?.f_reshape(of.size())?, of.device()).map(Some)
    }

    /// The loss's derivatives by the parameters, in the order of [`Self::parameters`], given that by
    /// the logits.
    ///
    /// # Errors
    /// What libtorch says, such as that memory ran out.
    pub fn gradients(&self, trace: &Trace, by_logits: &Tensor) -> Result<Vec<Tensor>, TchError> {
        let mut gradients = Vec::with_capacity(2 * self.layers.len());
        let mut by_output = by_logits.shallow_clone();
        for (index, input) in trace.inputs.iter().enumerate().rev() {
            gradients.push(by_output.f_sum_dim_intlist([0i64].as_slice(), false, Kind::Float)?);
            gradients.push(input.f_transpose(0, 1)?.f_mm(&by_output)?);
            if index > 0 {
                by_output = self.by_relu(trace, index, &by_output)?;
            }
        }
        gradients.reverse();
        Ok(gradients)
    }

    /// The loss's derivative by the features, given that by the logits.
    ///
    /// # Errors
    /// What libtorch says, such as that memory ran out.
    pub fn by_features(&self, trace: &Trace, by_logits: &Tensor) -> Result<Tensor, TchError> {
        let mut by_output = by_logits.shallow_clone();
        for index in (1..self.layers.len()).rev() {
            by_output = self.by_relu(trace, index, &by_output)?;
        }
        self.by_input(trace, 0, &by_output)
    }

    /// The derivative by what a layer read before dropout, given that by what it gave.
    fn by_input(
        &self,
        trace: &Trace,
        index: usize,
        by_output: &Tensor,
    ) -> Result<Tensor, TchError> {
        let by_input = by_output.f_mm(&self.layers[index].kernel.f_transpose(0, 1)?)?;
        match &trace.masks[index] {
            Some(mask) => by_input.f_mul(mask),
            None => Ok(by_input),
        }
    }

    /// The derivative by what the layer before gave, given that by what this one gave. Where ReLU gave
    /// 0 this one read 0.
    fn by_relu(&self, trace: &Trace, index: usize, by_output: &Tensor) -> Result<Tensor, TchError> {
        self.by_input(trace, index, by_output)?.f_mul(&trace.inputs[index].f_gt(0.0)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::Loss;
    use crate::random::{Purpose, stream};

    #[test]
    fn the_written_gradient_is_the_differentiated_one() {
        for (classes, hidden, dropout) in
            [(2, vec![], 0.0), (3, vec![], 0.5), (2, vec![5], 0.0), (3, vec![5, 4], 0.3)]
        {
            let mut rng = stream(5, Purpose::Head);
            let loss = Loss::of(classes);
            let design = Design { hidden, dropout, initializer: KernelInitializer::HeNormal };
            let sizes = [4, loss.logits()];
            let dropout = stream(5, Purpose::Dropout);
            let mut head = Head::draw(&design, sizes, &mut rng, dropout, Device::Cpu).unwrap();
            let features = Tensor::from_slice(&random::normal(&mut rng, 1.0, 24)).reshape([6, 4]);
            let labels: Vec<u32> = (0..6).map(|image| image % classes as u32).collect();
            let targets = loss.targets(&labels, 0.1, Device::Cpu).unwrap();
            let weights = Tensor::from_slice(&[1f32, 2.0, 0.0, 0.5, 1.0, 3.0]).reshape([6, 1]);

            let trace = head.train(&features).unwrap();
            let leaves: Vec<_> =
                head.parameters().map(|leaf| leaf.copy().set_requires_grad(true)).collect();
            let features = features.copy().set_requires_grad(true);
            let mut output = features.shallow_clone();
            for (index, layer) in leaves.chunks(2).enumerate() {
                if let Some(mask) = &trace.masks[index] {
                    output = output.g_mul(mask);
                }
                output = output.matmul(&layer[0]) + &layer[1];
                if index + 1 < leaves.len() / 2 {
                    output = output.relu();
                }
            }
            assert!(output.allclose(&trace.logits, 1e-5, 1e-6, false));
            (loss.sum(&output, &targets, Some(&weights)).unwrap() / 6.0).backward();

            let by_logits = loss.by_logits(&trace.logits, &targets, Some(&weights)).unwrap();
            let written = head.gradients(&trace, &by_logits).unwrap();
            assert_eq!(written.len(), leaves.len());
            let by_features = head.by_features(&trace, &by_logits).unwrap();
            for (written, leaf) in written.iter().zip(&leaves).chain([(&by_features, &features)]) {
                assert!(written.allclose(&leaf.grad(), 1e-5, 1e-7, false), "{design:?}");
            }
        }
    }

    #[test]
    fn dropout_keeps_the_mean_and_stays_out_of_inference() {
        let design = Design { dropout: 0.25, ..Design::default() };
        let (mut rng, dropout) = (stream(1, Purpose::Head), stream(1, Purpose::Dropout));
        let mut head = Head::draw(&design, [400, 1], &mut rng, dropout, Device::Cpu).unwrap();
        let ones = Tensor::ones([100, 400], (Kind::Float, Device::Cpu));
        let trace = head.train(&ones).unwrap();
        let mean = trace.inputs[0].mean(Kind::Float).double_value(&[]);
        assert!((mean - 1.0).abs() < 0.02, "{mean}");
        let dropped = trace.inputs[0].eq(0.0).to_kind(Kind::Float).mean(Kind::Float);
        assert!((dropped.double_value(&[]) - 0.25).abs() < 0.02);
        assert_eq!(head.logits(&ones).unwrap(), head.logits(&ones).unwrap());
        assert_ne!(head.train(&ones).unwrap().logits, trace.logits, "every step drops others");
    }

    #[test]
    fn kernels_have_the_variance_that_their_name_says() {
        use KernelInitializer::{
            GlorotNormal, GlorotUniform, HeNormal, HeUniform, LecunNormal, LecunUniform,
        };
        let (inputs, units) = (300, 200);
        for (initializer, variance, bound) in [
            (GlorotUniform, 1.0 / 250.0, 3f64.sqrt()),
            (HeUniform, 2.0 / 300.0, 3f64.sqrt()),
            (LecunUniform, 1.0 / 300.0, 3f64.sqrt()),
            // Two deviations of the normal before it is cut off.
            (GlorotNormal, 1.0 / 250.0, 2.0 / 0.879_625_661_034_239_8),
            (HeNormal, 2.0 / 300.0, 2.0 / 0.879_625_661_034_239_8),
            (LecunNormal, 1.0 / 300.0, 2.0 / 0.879_625_661_034_239_8),
        ] {
            let draws = draw_kernel(&mut stream(1, Purpose::Head), initializer, inputs, units);
            let mean = |power: i32| {
                draws.iter().map(|draw| f64::from(*draw).powi(power)).sum::<f64>()
                    / draws.len() as f64
            };
            let deviation = f64::sqrt(variance);
            assert!((mean(2) / variance - 1.0).abs() < 0.02, "{initializer:?}");
            assert!(mean(1).abs() < 0.02 * deviation, "{initializer:?}");
            let widest = draws.iter().fold(0f32, |widest, draw| widest.max(draw.abs()));
            let share = f64::from(widest) / (bound * deviation);
            assert!(share > 0.99 && share <= 1.0 + 1e-6, "{initializer:?}: {share}");
        }
    }
}
