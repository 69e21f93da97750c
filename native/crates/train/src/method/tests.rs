//! Each objective on pairs and judgements against its published formula, on log-probabilities that are read off the logits of one
//! text at a time: given its prompt, and nothing else.

use super::*;
use crate::data::DataRow;
use crate::testing::{adapt, fixture};
use tillage_model::Packed;
use tillage_protocol::run::{LossOn, Template};
use tillage_text::{Clock, RowEncoder, RowText, Tokenizer};

const PROMPTS: [&str; 3] = ["Where is the elm?", "Name a town.", "What grows in Graz, and how tall is it?"];
const FIRST: [&str; 3] = [" In Graz.", " Lyon, or Turin, or Ghent.", " The elm."];
const SECOND: [&str; 3] = [" Nowhere at all.", " Elm.", " I do not know it."];
/// Rows of a batch, in an order that is not theirs.
const ROWS: [usize; 3] = [2, 0, 1];

struct Case {
    model: Model,
    encoder: RowEncoder,
    data: Dataset,
}

/// The fixture's model with an adapter that changes it, and rows with two texts each; the reference is some nats away.
fn case(method: &Method) -> Case {
    let mut model = Model::load(&fixture()).unwrap();
    adapt(&mut model, |model| {
        if *method == Method::Reward {
            model.attach_score(4).unwrap();
        }
    });
    let template = Template::Format { prompt: "Q: {prompt}\nA:".into() };
    let tokenizer = Tokenizer::load(&fixture()).unwrap();
    let encoder = RowEncoder::new(tokenizer, template, LossOn::Completion, 64, Clock::System).unwrap();
    let text = |i: usize, answer: &str| RowText::PromptCompletion {
        prompt: PROMPTS[i].into(),
        completion: answer.into(),
    };
    let row = |i: usize| DataRow {
        id: format!("row-{i}"),
        texts: vec![text(i, FIRST[i]), text(i, SECOND[i])],
        good: i != 1,
        open: false,
        weight: 1.0,
    };
    let data = Dataset::encode(&[row(0), row(1), row(2)], method, &encoder, false).unwrap();
    let mut case = Case { model, encoder, data };
    let off = |at: usize| (at * 37 % 11) as f64 / 2.0 - 3.0;
    case.data.reference = (0..6).map(|at| case.text(at / 2, at % 2).completion + off(at)).collect();
    case
}

/// Log-probabilities of a text's parts, and their tokens.
struct Text {
    prompt: f64,
    completion: f64,
    tokens: [usize; 2],
}

impl Case {
    fn tokens(&self, row: usize, part: usize) -> &[u32] {
        &self.data.examples[2 * row + part].tokens
    }

    fn text(&self, row: usize, part: usize) -> Text {
        let tokens = self.tokens(row, part);
        let front = self.encoder.prompt(PROMPTS[row]).unwrap();
        assert!(tokens.starts_with(&front) && tokens.len() > front.len() + 1);
        let all: Vec<usize> = (0..tokens.len() - 1).collect();
        let logits = self.model.logits(&Packed::texts([tokens]), &all);
        let vocab = self.model.config().vocab_size;
        let of = |at: usize| {
            let row = &logits[(at - 1) * vocab..at * vocab];
            let whole = row.iter().map(|x| f64::from(*x).exp()).sum::<f64>().ln();
            f64::from(row[tokens[at] as usize]) - whole
        };
        Text {
            prompt: (1..front.len()).map(of).sum(),
            completion: (front.len()..tokens.len()).map(of).sum(),
            tokens: [front.len() - 1, tokens.len() - front.len()],
        }
    }

    /// The mean loss of the rows, by the formula; `drift` is KTO's.
    fn formula(&self, method: &Method, drift: f64) -> f64 {
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        let ratio =
            |row: usize, part: usize| self.text(row, part).completion - self.data.reference[2 * row + part];
        let mean = |row: usize, part: usize| {
            let text = self.text(row, part);
            text.completion / text.tokens[1] as f64
        };
        let gap = |row: usize| ratio(row, 0) - ratio(row, 1);
        let score = |row: usize, part: usize| {
            f64::from(self.model.scores(&Packed::texts([self.tokens(row, part)])).unwrap()[0])
        };
        let chosen = |prompts: bool| {
            let texts = [0, 1, 2].map(|row| self.text(row, 0));
            let sum: f64 = texts.iter().map(|t| t.completion + if prompts { t.prompt } else { 0.0 }).sum();
            let count: usize =
                texts.iter().map(|t| t.tokens[1] + if prompts { t.tokens[0] } else { 0 }).sum();
            -sum / count as f64
        };
        let mean_of = |of: &dyn Fn(usize) -> f64| (of(0) + of(1) + of(2)) / 3.0;
        match *method {
            Method::Pairs(PairLoss::Dpo { beta, smoothing }) => mean_of(&|row| {
                let x = beta * gap(row);
                let both = (1.0 - smoothing) * sigmoid(x).ln() - smoothing * sigmoid(-x).ln();
                -both / (1.0 - 2.0 * smoothing)
            }),
            Method::Pairs(PairLoss::Ipo { beta }) => mean_of(&|row| {
                let of = |part| ratio(row, part) / self.text(row, part).tokens[1] as f64;
                (of(0) - of(1) - 0.5 / beta).powi(2)
            }),
            Method::Pairs(PairLoss::Hinge { beta }) => mean_of(&|row| (1.0 - beta * gap(row)).max(0.0)),
            Method::Pairs(PairLoss::ApoZero { beta }) => {
                mean_of(&|row| 1.0 - sigmoid(beta * ratio(row, 0)) + sigmoid(beta * ratio(row, 1)))
            }
            Method::Pairs(PairLoss::SimPo { beta, gamma }) => {
                mean_of(&|row| -sigmoid(beta * (mean(row, 0) - mean(row, 1)) - gamma).ln())
            }
            Method::Pairs(PairLoss::Cpo { beta, alpha }) => {
                let gap = |row| self.text(row, 0).completion - self.text(row, 1).completion;
                mean_of(&|row| -sigmoid(beta * gap(row)).ln()) + alpha * chosen(false)
            }
            Method::Pairs(PairLoss::Orpo { beta }) => {
                let odds = |row, part| {
                    let p = mean(row, part).exp();
                    (p / (1.0 - p)).ln()
                };
                mean_of(&|row| -beta * sigmoid(odds(row, 0) - odds(row, 1)).ln()) + chosen(true)
            }
            Method::Judgements { beta, weights } => mean_of(&|row| match self.data.good[row] {
                true => weights[0] * (1.0 - sigmoid(beta * (ratio(row, 0) - drift))),
                false => weights[1] * (1.0 - sigmoid(beta * (drift - ratio(row, 0)))),
            }),
            Method::Reward => mean_of(&|row| -sigmoid(score(row, 0) - score(row, 1)).ln()),
            _ => unreachable!("no objective on rows with two texts"),
        }
    }

    /// Moves all that is trained.
    fn shift(&mut self, direction: &[Vec<f64>], by: f64) {
        for (p, direction) in self.model.parameters_mut().into_iter().zip(direction) {
            p.value.iter_mut().zip(direction).for_each(|(v, d)| *v += (by * d) as f32);
        }
    }
}

#[test]
fn every_objective_has_its_formulas_loss_and_slope_of_answers_given_their_prompts() {
    for method in [
        Method::Pairs(PairLoss::Dpo { beta: 0.3, smoothing: 0.1 }),
        Method::Pairs(PairLoss::Ipo { beta: 0.2 }),
        Method::Pairs(PairLoss::Hinge { beta: 0.1 }),
        Method::Pairs(PairLoss::ApoZero { beta: 0.3 }),
        Method::Pairs(PairLoss::SimPo { beta: 2.0, gamma: 0.5 }),
        Method::Pairs(PairLoss::Cpo { beta: 0.1, alpha: 0.7 }),
        Method::Pairs(PairLoss::Orpo { beta: 0.4 }),
        Method::Judgements { beta: 0.3, weights: [1.0, 1.5] },
        Method::Reward,
    ] {
        let mut case = case(&method);
        // What the policy has moved on answers that belong elsewhere: those that stand second.
        let apart = |row: usize| case.text(row, 1).completion - case.data.reference[2 * row + 1];
        let drift = (0..3).map(apart).sum::<f64>() / 3.0;
        assert!(drift > 0.1, "{drift}: KTO's would be cut off at 0");
        let wanted = case.formula(&method, drift);
        let around = Around::default();
        let told = method.evaluate(&case.model, &case.data, &ROWS, &around).unwrap();
        case.model.zero_grad();
        let found = method.forward_backward(&mut case.model, &case.data, &ROWS, 3.0, &around).unwrap();
        for loss in [told.sum / 3.0, found.sum / 3.0] {
            assert!((loss - wanted).abs() < 2e-5 * wanted.abs().max(1.0), "{method:?}: {loss}, {wanted}");
        }
        if let Method::Judgements { .. } = method {
            let kl = found.metrics.means()[metric::KL];
            assert!((kl - drift).abs() < 1e-4, "{kl} instead of {drift}");
        }
        let grads: Vec<Vec<f64>> = case
            .model
            .parameters_mut()
            .iter()
            .map(|p| p.grad.iter().map(|g| f64::from(*g)).collect())
            .collect();
        let norm = grads.iter().flatten().map(|g| g * g).sum::<f64>().sqrt();
        let direction: Vec<Vec<f64>> =
            grads.iter().map(|grad| grad.iter().map(|g| g / norm).collect()).collect();
        let mut at = |by: f64| {
            case.shift(&direction, by);
            let loss = case.formula(&method, drift);
            case.shift(&direction, -by);
            loss
        };
        let slope = (at(2e-3) - at(-2e-3)) / 4e-3;
        assert!(norm > 1e-3 && (slope - norm).abs() < 1e-2 * norm, "{method:?}: {slope}, {norm}");
    }
}
