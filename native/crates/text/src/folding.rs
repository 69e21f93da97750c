//! What a chat template's constants come to, before the compiler computes them.
//!
//! `'a' * 100000000` is computed when a template is compiled, where nothing is metered yet.

use minijinja::machinery::ast::{BinOpKind, CallArg, Expr, Stmt};
use minijinja::value::ValueKind;

/// Bytes of a constant at most.
const MOST: f64 = 1e6;

/// An upper bound of a constant: its bytes, and where it is a number, how large it is.
#[derive(Clone, Copy)]
struct Bound {
    bytes: f64,
    number: f64,
}

/// Whether a constant of the template comes to more than it may.
pub fn explodes(parsed: &Stmt) -> bool {
    let all = |list: &[Stmt]| list.iter().any(explodes);
    let on = |e: &Expr| bound(e).is_err();
    let maybe = |e: &Option<Expr>| e.as_ref().is_some_and(on);
    match parsed {
        Stmt::Template(s) => all(&s.children),
        Stmt::EmitExpr(s) => on(&s.expr),
        Stmt::EmitRaw(_) | Stmt::Continue(_) | Stmt::Break(_) => false,
        Stmt::ForLoop(s) => on(&s.iter) || maybe(&s.filter_expr) || all(&s.body) || all(&s.else_body),
        Stmt::IfCond(s) => on(&s.expr) || all(&s.true_body) || all(&s.false_body),
        Stmt::WithBlock(s) => s.assignments.iter().any(|(_, e)| on(e)) || all(&s.body),
        Stmt::Set(s) => on(&s.target) || on(&s.expr),
        Stmt::SetBlock(s) => maybe(&s.filter) || all(&s.body),
        Stmt::AutoEscape(s) => on(&s.enabled) || all(&s.body),
        Stmt::FilterBlock(s) => on(&s.filter) || all(&s.body),
        Stmt::Macro(s) => s.defaults.iter().any(on) || all(&s.body),
        Stmt::CallBlock(s) => called(&s.call.expr, &s.call.args).is_err() || all(&s.macro_decl.body),
        Stmt::Do(s) => called(&s.call.expr, &s.call.args).is_err(),
        Stmt::Block(s) => all(&s.body),
        Stmt::Include(s) => on(&s.name),
        Stmt::Extends(s) => on(&s.name),
        Stmt::Import(s) => on(&s.expr),
        Stmt::FromImport(s) => on(&s.expr),
    }
}

/// Too large.
struct Explodes;

fn called(callee: &Expr, args: &[CallArg]) -> Result<(), Explodes> {
    bound(callee)?;
    arguments(args)
}

fn arguments(args: &[CallArg]) -> Result<(), Explodes> {
    args.iter().try_for_each(|arg| match arg {
        CallArg::Pos(e) | CallArg::Kwarg(_, e) | CallArg::PosSplat(e) | CallArg::KwargSplat(e) => {
            bound(e).map(|_| ())
        }
    })
}

/// The bound of an expression that is a constant; `None` for one that is not.
fn bound(expr: &Expr) -> Result<Option<Bound>, Explodes> {
    let each = |list: &[Expr]| list.iter().try_for_each(|e| bound(e).map(|_| ()));
    let maybe = |e: &Option<Expr>| e.as_ref().map_or(Ok(()), |e| bound(e).map(|_| ()));
    let items = |list: &[Expr]| {
        let mut sum = Some(Bound { bytes: 32.0, number: 0.0 });
        for e in list {
            let one = bound(e)?;
            sum = sum.zip(one).map(|(s, o)| Bound { bytes: s.bytes + 32.0 + o.bytes, number: 0.0 });
        }
        checked(sum)
    };
    match expr {
        Expr::Var(_) => Ok(None),
        Expr::Const(c) => {
            let number = f64::try_from(c.value.clone()).unwrap_or(0.0).abs();
            let bytes =
                if c.value.kind() == ValueKind::Number { 40.0 } else { c.value.to_string().len() as f64 };
            Ok(Some(Bound { bytes, number }))
        }
        Expr::BinOp(op) => {
            let (Some(l), Some(r)) = (bound(&op.left)?, bound(&op.right)?) else { return Ok(None) };
            let bytes = match op.op {
                BinOpKind::Mul => (l.bytes * r.number.max(1.0)).max(r.bytes * l.number.max(1.0)),
                _ => l.bytes + r.bytes,
            };
            // Two numbers stay a number, whatever becomes of it.
            let numbers = l.number > 0.0 && r.number > 0.0;
            let number = match op.op {
                BinOpKind::Mul => l.number * r.number,
                BinOpKind::Pow => l.number.powf(r.number),
                _ => l.number + r.number,
            };
            checked(Some(Bound { bytes: if numbers { 40.0 } else { bytes }, number }))
        }
        Expr::Compare(c) => {
            bound(&c.expr)?;
            c.ops.iter().try_for_each(|op| bound(&op.expr).map(|_| ())).map(|()| None)
        }
        Expr::UnaryOp(op) => bound(&op.expr),
        Expr::IfExpr(e) => {
            let three =
                bound(&e.test_expr).and_then(|_| bound(&e.true_expr)).and_then(|_| maybe(&e.false_expr));
            three.map(|()| None)
        }
        Expr::Filter(f) => {
            maybe(&f.expr)?;
            arguments(&f.args).map(|()| None)
        }
        Expr::Test(t) => called(&t.expr, &t.args).map(|()| None),
        Expr::GetAttr(e) => bound(&e.expr).map(|_| None),
        Expr::GetItem(e) => bound(&e.expr).and_then(|_| bound(&e.subscript_expr)).map(|_| None),
        Expr::Slice(s) => {
            bound(&s.expr)?;
            maybe(&s.start).and_then(|()| maybe(&s.stop)).and_then(|()| maybe(&s.step)).map(|()| None)
        }
        Expr::Call(c) => called(&c.expr, &c.args).map(|()| None),
        Expr::List(l) => items(&l.items),
        Expr::Tuple(t) => items(&t.items),
        Expr::Map(m) => {
            each(&m.keys)?;
            items(&m.values)
        }
    }
}

fn checked(bound: Option<Bound>) -> Result<Option<Bound>, Explodes> {
    match bound {
        Some(b) if b.bytes.is_nan() || b.bytes > MOST => Err(Explodes),
        other => Ok(other),
    }
}
