use crate::support::{close, derivative, single, Numbers};
use tillage_kernels::cpu::{self, AdamWTensor, Distillation, Target};
use tillage_kernels::{clip_factor, reference, AdamWStep};

#[test]
fn cross_entropy_and_its_gradient() {
    for (rows, vocab) in [(1, 3), (5, 1000), (300, 130)] {
        let mut n = Numbers::new(vocab as u64);
        let logits: Vec<f64> = n.many(rows * vocab).iter().map(|x| x * 8.0).collect();
        let targets: Vec<Target> = (0..rows)
            .map(|r| Target { label: ((r * 37) % vocab) as u32, grad: 0.25 - 0.01 * (r % 50) as f32 })
            .collect();
        let (mut ours, mut nll) = (single(&logits), vec![f32::NAN; rows]);
        cpu::cross_entropy(&mut ours, &mut nll, &targets, true);
        let row = |r: usize| &logits[r * vocab..(r + 1) * vocab];
        let expected: Vec<f64> = targets
            .iter()
            .enumerate()
            .map(|(r, t)| reference::cross_entropy(row(r), t.label as usize))
            .collect();
        close(&nll, &expected, 1e-6);
        let gradient: Vec<f64> = targets
            .iter()
            .enumerate()
            .flat_map(|(r, t)| {
                reference::cross_entropy_backward(row(r), t.label as usize)
                    .into_iter()
                    .map(|g| g * f64::from(t.grad))
            })
            .collect();
        close(&ours, &gradient, 1e-6);
    }
    let x = Numbers::new(2).many(9);
    derivative(|x| reference::cross_entropy(x, 4), &x, &reference::cross_entropy_backward(&x, 4));
}

#[test]
fn distillation_and_its_gradient() {
    for (rows, vocab, temperature, alpha) in [(1, 3, 1.0, 1.0), (5, 1000, 2.0, 0.7), (70, 131, 0.5, 0.0)] {
        let mut n = Numbers::new(vocab as u64);
        let mut some = || n.many(rows * vocab).iter().map(|x| x * 6.0).collect::<Vec<f64>>();
        let (student, teacher) = (some(), some());
        let targets: Vec<Target> = (0..rows)
            .map(|r| Target { label: ((r * 37) % vocab) as u32, grad: 0.5 - 0.01 * r as f32 })
            .collect();
        let settings = Distillation { temperature: temperature as f32, alpha: alpha as f32 };
        let (mut kl, mut nll) = (vec![f32::NAN; rows], vec![f32::NAN; rows]);
        let mut ours = single(&student);
        cpu::distill(&mut ours, &single(&teacher), [&mut kl, &mut nll], &targets, settings, true);
        let row = |x: &[f64], r: usize| x[r * vocab..(r + 1) * vocab].to_vec();
        let each = |r: usize| {
            let t = &targets[r];
            let (s, p) = (row(&student, r), row(&teacher, r));
            let loss = reference::distill(&s, &p, t.label as usize, temperature, alpha);
            let gradient = reference::distill_backward(&s, &p, t.label as usize, temperature, alpha);
            (loss, gradient.into_iter().map(|g| g * f64::from(t.grad)).collect::<Vec<_>>())
        };
        let (losses, gradients): (Vec<f64>, Vec<Vec<f64>>) = (0..rows).map(each).unzip();
        let total = |(kl, nll): (&f32, &f32)| {
            (alpha * temperature * temperature * f64::from(*kl) + (1.0 - alpha) * f64::from(*nll)) as f32
        };
        close(&kl.iter().zip(&nll).map(total).collect::<Vec<_>>(), &losses, 2e-6);
        close(&ours, &gradients.concat(), 2e-6);
    }
    let (x, teacher) = (Numbers::new(2).many(9), Numbers::new(3).many(9));
    let slopes = reference::distill_backward(&x, &teacher, 4, 1.7, 0.6);
    derivative(|x| reference::distill(x, &teacher, 4, 1.7, 0.6), &x, &slopes);
}

#[test]
fn a_student_that_is_its_teacher_has_nothing_to_learn_from_it() {
    let x: Vec<f32> = single(&Numbers::new(7).many(50));
    let (mut own, mut kl, mut nll) = (x.clone(), [f32::NAN], [f32::NAN]);
    let settings = Distillation { temperature: 3.0, alpha: 1.0 };
    cpu::distill(&mut own, &x, [&mut kl, &mut nll], &[Target { label: 1, grad: 1.0 }], settings, true);
    assert!(kl[0].abs() < 1e-6 && own.iter().all(|g| g.abs() < 1e-7), "{kl:?}");
}

#[test]
fn softmax_survives_large_numbers() {
    let x = [1000.0, 999.0, -1000.0, 0.0, 0.0, 0.0];
    let mut ours = single(&x);
    cpu::softmax(&mut ours, 3);
    close(&ours[..3], &reference::softmax(&x[..3]), 1e-6);
    close(&ours[3..], &[1.0 / 3.0; 3], 1e-6);
    let logp = cpu::log_softmax_at(&single(&x[..3]), 1);
    assert!((f64::from(logp) - reference::softmax(&x[..3])[1].ln()).abs() < 1e-6);
}

#[test]
fn adamw_steps_like_the_reference() {
    let sizes = [1, 40_000, 77];
    let mut n = Numbers::new(11);
    let mut exact: Vec<[Vec<f64>; 3]> =
        sizes.iter().map(|&s| [n.many(s), vec![0.0; s], vec![0.0; s]]).collect();
    let mut ours: Vec<[Vec<f32>; 3]> =
        exact.iter().map(|t| [single(&t[0]), single(&t[1]), single(&t[2])]).collect();
    for step in 1..=6 {
        let grads: Vec<Vec<f64>> = sizes.iter().map(|&s| n.many(s)).collect();
        let singles: Vec<Vec<f32>> = grads.iter().map(|g| single(g)).collect();
        let norm = cpu::grad_norm(singles.iter().map(Vec::as_slice));
        let exact_norm = reference::grad_norm(&grads.iter().map(Vec::as_slice).collect::<Vec<_>>());
        assert!((norm - exact_norm).abs() < 1e-12 * exact_norm);
        let s = AdamWStep {
            lr: 0.01 * step as f64,
            beta1: 0.9,
            beta2: 0.95,
            eps: 1e-8,
            weight_decay: 0.1,
            step,
            grad_scale: clip_factor(norm, 1.0),
        };
        let mut tensors: Vec<AdamWTensor> = ours
            .iter_mut()
            .zip(&singles)
            .map(|([value, first, second], grad)| AdamWTensor { value, grad, first, second })
            .collect();
        cpu::adamw(&mut tensors, &s);
        for ([value, first, second], grad) in exact.iter_mut().zip(&grads) {
            reference::adamw(value, grad, first, second, &s);
        }
    }
    for (ours, exact) in ours.iter().zip(&exact) {
        close(&ours[0], &exact[0], 2e-6);
        close(&ours[1], &exact[1], 2e-6);
        close(&ours[2], &exact[2], 2e-6);
    }
}

#[test]
fn clipping_follows_torch() {
    assert_eq!(clip_factor(0.5, 1.0), 1.0);
    assert!((f64::from(clip_factor(4.0, 1.0)) - 1.0 / (4.0 + 1e-6)).abs() < 1e-7);
    assert_eq!(clip_factor(1e9, 0.0), 1.0);
}
