//! What a chat template may take: memory that it builds, and time that this takes.
//!
//! The library counts instructions, but one instruction can double a text or compare two trees that share their branches. So the
//! instructions that build or compare values are replaced by calls which charge what they make to a budget: concatenations, sums,
//! products, lists, maps, what is written, what filters return. A conversation's budget grows with its length.

use minijinja::machinery::{ast::Stmt, CodeGenerator, Instruction, Instructions};
use minijinja::value::{Kwargs, Rest, ValueKind};
use minijinja::{Environment, Error, ErrorKind, Output, State, Value};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Bytes and values that every rendering may build in all, and those for each byte of the conversation.
const BUDGET: u64 = 64 << 20;
const BUDGET_A_BYTE: u64 = 1024;
const MOST: u64 = 4 << 30;

/// Bytes of an item of a list, beside what it refers to.
const ITEM: usize = 24;

/// Containers inside each other.
const DEPTH: usize = 160;

/// Names that no template can write.
const CONCAT: &str = "tillage concat";
const ADD: &str = "tillage add";
const MULTIPLY: &str = "tillage multiply";
const WEIGH: &str = "tillage weigh";
const SETTLE: &str = "tillage settle";
const MADE: &str = "tillage made";

thread_local! {
    static LEFT: Cell<u64> = const { Cell::new(0) };
}

/// A template took more than it may.
#[derive(Debug)]
struct TooMuch;

impl std::fmt::Display for TooMuch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the template builds too much")
    }
}
impl std::error::Error for TooMuch {}

/// Whether that ended a rendering.
pub fn is_too_much(error: &Error) -> bool {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(e) = source {
        if e.is::<TooMuch>() {
            return true;
        }
        source = e.source();
    }
    false
}

fn too_much() -> Error {
    Error::new(ErrorKind::InvalidOperation, "the template builds too much").with_source(TooMuch)
}

/// Gives a rendering its budget, for a conversation of so many bytes.
pub fn begin(bytes: usize) {
    LEFT.set((BUDGET + BUDGET_A_BYTE.saturating_mul(bytes as u64)).min(MOST));
}

/// Takes from the rendering's budget.
///
/// # Errors
/// Where it is spent.
pub fn charge(n: usize) -> Result<(), Error> {
    match LEFT.get().checked_sub(n as u64) {
        Some(left) => {
            LEFT.set(left);
            Ok(())
        }
        None => Err(too_much()),
    }
}

/// Charges a value with all that is in it.
fn weigh(value: &Value, depth: usize) -> Result<(), Error> {
    if let Some(text) = value.as_str() {
        // Comparing and copying go by words.
        return charge(text.len() / 8 + 1);
    }
    match value.kind() {
        ValueKind::Seq | ValueKind::Map if depth == 0 => Err(too_much()),
        ValueKind::Seq => {
            value.try_iter()?.try_for_each(|item| weigh(&item, depth - 1)).and_then(|()| charge(4))
        }
        ValueKind::Map => {
            for key in value.try_iter()? {
                weigh(&key, depth - 1)?;
                weigh(&value.get_item(&key)?, depth - 1)?;
            }
            charge(8)
        }
        ValueKind::Bytes => charge(value.as_bytes().map_or(0, <[u8]>::len)),
        _ => charge(1),
    }
}

/// Charges a value that was just made, a text by all its bytes.
fn made(value: &Value) -> Result<(), Error> {
    value.as_str().map_or_else(|| weigh(value, DEPTH), |text| charge(text.len()))
}

/// Whether a namespace is in a value. One that held itself would have no end, and several could be made as deep as one likes.
fn holds_namespace(value: &Value) -> bool {
    let own = value.as_object().is_some_and(|o| o.type_name().ends_with("::Namespace"));
    let of =
        |items: Option<minijinja::value::ValueIter>| items.into_iter().flatten().any(|v| holds_namespace(&v));
    own || match value.kind() {
        ValueKind::Seq => of(value.try_iter().ok()),
        ValueKind::Map => value
            .try_iter()
            .into_iter()
            .flatten()
            .any(|key| value.get_item(&key).is_ok_and(|v| holds_namespace(&v))),
        _ => false,
    }
}

fn settle(value: Value) -> Result<Value, Error> {
    weigh(&value, DEPTH)?;
    if holds_namespace(&value) {
        return Err(Error::new(ErrorKind::InvalidOperation, "a namespace cannot be kept in a namespace"));
    }
    Ok(value)
}

/// A text that stops growing where the budget ends.
struct Bounded(String);

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        charge(text.len()).map_err(|_| std::fmt::Error)?;
        self.0.push_str(text);
        Ok(())
    }
}

fn written(parts: &[&Value]) -> Result<String, Error> {
    let mut out = Bounded(String::new());
    for value in parts {
        if value.as_str().is_none() {
            weigh(value, DEPTH)?;
        }
        write!(out, "{value}").map_err(|_| too_much())?;
    }
    Ok(out.0)
}

fn is_list(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable)
}

/// A number as Python has it, where truth values are numbers too.
enum Number {
    Whole(i128),
    Real(f64),
}

fn number(value: &Value) -> Option<Number> {
    match value.kind() {
        ValueKind::Bool => Some(Number::Whole(i128::from(value.is_true()))),
        ValueKind::Number if value.is_integer() => i128::try_from(value.clone()).ok().map(Number::Whole),
        ValueKind::Number => f64::try_from(value.clone()).ok().map(Number::Real),
        _ => None,
    }
}

fn arithmetic(
    sign: &str,
    (a, b): (&Value, &Value),
    whole: fn(i128, i128) -> Option<i128>,
    real: fn(f64, f64) -> f64,
) -> Result<Value, Error> {
    let cannot = || {
        let what = format!("tried to use {sign} operator on unsupported types {} and {}", a.kind(), b.kind());
        Error::new(ErrorKind::InvalidOperation, what)
    };
    let as_real = |n: Number| match n {
        Number::Whole(n) => n as f64,
        Number::Real(x) => x,
    };
    match (number(a).ok_or_else(cannot)?, number(b).ok_or_else(cannot)?) {
        (Number::Whole(x), Number::Whole(y)) => {
            let n = whole(x, y).ok_or_else(|| {
                Error::new(ErrorKind::InvalidOperation, format!("unable to calculate {a} {sign} {b}"))
            })?;
            Ok(i64::try_from(n).map_or_else(|_| Value::from(n), Value::from))
        }
        (x, y) => Ok(Value::from(real(as_real(x), as_real(y)))),
    }
}

fn add(a: &Value, b: &Value) -> Result<Value, Error> {
    if let (Some(x), Some(y)) = (a.as_str(), b.as_str()) {
        charge(x.len() + y.len())?;
        return Ok(Value::from([x, y].concat()));
    }
    if is_list(a) && is_list(b) {
        let mut all = Vec::new();
        for item in a.try_iter()?.chain(b.try_iter()?) {
            charge(ITEM)?;
            all.push(item);
        }
        return Ok(Value::from(all));
    }
    arithmetic("+", (a, b), i128::checked_add, |x, y| x + y)
}

fn multiply(a: &Value, b: &Value) -> Result<Value, Error> {
    let times = |n: &Value| {
        let n = i64::try_from(n.clone()).map_err(|_| {
            Error::new(ErrorKind::InvalidOperation, "texts and lists can only be multiplied with integers")
        })?;
        Ok::<_, Error>(usize::try_from(n).unwrap_or(0))
    };
    for (repeated, n) in [(a, b), (b, a)] {
        if let Some(text) = repeated.as_str() {
            let n = times(n)?;
            charge(text.len().saturating_mul(n))?;
            return Ok(Value::from(text.repeat(n)));
        }
        if is_list(repeated) {
            let n = times(n)?;
            let items: Vec<Value> = repeated.try_iter()?.collect();
            charge(items.len().saturating_mul(n).saturating_mul(ITEM))?;
            return Ok(Value::from(vec![&items; n].into_iter().flatten().cloned().collect::<Vec<Value>>()));
        }
    }
    arithmetic("*", (a, b), i128::checked_mul, |x, y| x * y)
}

/// Filters and methods that make much of little, or of which one value takes many.
const GROWING: [&str; 9] =
    ["replace", "join", "indent", "format", "list", "split", "splitlines", "batch", "slice"];

/// Charges what a filter or method is going to make of its arguments, the first of which it is applied to.
fn foresee(name: &str, args: &[Value]) -> Result<(), Error> {
    let Some((value, more)) = args.split_first() else { return Ok(()) };
    let text = |at: usize| more.get(at).and_then(Value::as_str);
    let length = value.as_str().map_or_else(|| value.len().unwrap_or(0), str::len);
    // Any of them, given by place or by name.
    let largest = || {
        let named = more.iter().flat_map(|v| match v.kind() {
            ValueKind::Map => v
                .try_iter()
                .map(|keys| keys.filter_map(|k| v.get_item(&k).ok()).collect())
                .unwrap_or_default(),
            _ => vec![v.clone()],
        });
        named.filter_map(|v| usize::try_from(v).ok()).max().unwrap_or(0)
    };
    match name {
        "replace" => {
            let (from, to) = (text(0).map_or(1, |t| t.len().max(1)), text(1).map_or(0, str::len));
            charge((length / from + 1).saturating_mul(to))
        }
        // As a filter, of a list; as a method, of the text between.
        "join" => {
            weigh(value, DEPTH)?;
            more.first().map_or(Ok(()), |list| weigh(list, DEPTH))?;
            let listed = more.first().and_then(Value::len).unwrap_or(0);
            let between = text(0).map_or(0, str::len);
            charge(length.saturating_mul(between.max(1)).max(length.saturating_mul(listed)))
        }
        "indent" => {
            let lines = value.as_str().map_or(0, |t| t.matches('\n').count());
            charge(largest().saturating_mul(lines + 1))
        }
        "format" => {
            let digits = value.as_str().unwrap_or_default().split(|c: char| !c.is_ascii_digit());
            let widest = digits.map(|d| d.parse().unwrap_or(if d.is_empty() { 0 } else { usize::MAX })).max();
            charge(widest.unwrap_or(0).saturating_add(largest()).saturating_mul(8))
        }
        "batch" | "slice" => charge(largest().saturating_add(length).saturating_mul(ITEM)),
        _ => charge(length.saturating_mul(ITEM)),
    }
}

/// Sets an environment up for metered templates.
pub fn install(env: &mut Environment<'static>) {
    env.set_formatter(|out: &mut Output, _: &mut State, value: &Value| {
        match value.as_str() {
            Some(text) => {
                charge(text.len())?;
                out.write_str(text)
            }
            None => out.write_str(&written(&[value])?),
        }
        .map_err(|_| Error::from(ErrorKind::WriteFailure))
    });
    env.add_function(CONCAT, |a: Value, b: Value| written(&[&a, &b]).map(Value::from));
    env.add_function(ADD, |a: Value, b: Value| add(&a, &b));
    env.add_function(MULTIPLY, |a: Value, b: Value| multiply(&a, &b));
    env.add_function(WEIGH, |value: Value| weigh(&value, DEPTH).map(|()| value));
    env.add_function(MADE, |value: Value| made(&value).map(|()| value));
    env.add_function(SETTLE, settle);
    for name in GROWING {
        let Some(filter) = builtin(name) else { continue };
        env.add_filter(name, move |state: &mut State, args: Rest<Value>, named: Kwargs| {
            let mut args = args.0;
            if named.args().next().is_some() {
                args.push(Value::from(named));
            }
            foresee(name, &args)?;
            filter.call(state, &args)
        });
    }
    env.set_unknown_method_callback(|state, value, method, args| {
        if GROWING.contains(&method) {
            let all: Vec<Value> = std::iter::once(value).chain(args).cloned().collect();
            foresee(method, &all)?;
        }
        let answer = minijinja_contrib::pycompat::unknown_method_callback(state, value, method, args)?;
        made(&answer)?;
        Ok(answer)
    });
}

/// A filter of the library.
fn builtin(name: &str) -> Option<Value> {
    use minijinja::filters as f;
    Some(match name {
        "replace" => Value::from_function(f::replace),
        "join" => Value::from_function(f::join),
        "indent" => Value::from_function(f::indent),
        "format" => Value::from_function(f::format),
        "list" => Value::from_function(f::list),
        "split" => Value::from_function(f::split),
        "batch" => Value::from_function(f::batch),
        "slice" => Value::from_function(f::slice),
        _ => return None,
    })
}

/// A compiled template with its blocks.
pub type Code<'s> = (Instructions<'s>, BTreeMap<&'s str, Instructions<'s>>);

/// Compiles a parsed template into metered instructions.
pub fn compile<'s>(name: &'s str, source: &'s str, parsed: &Stmt<'s>) -> Code<'s> {
    let mut generator = CodeGenerator::new(name, source);
    generator.compile_stmt(parsed);
    let (mut main, mut blocks) = generator.finish();
    meter(&mut main);
    blocks.values_mut().for_each(meter);
    (main, blocks)
}

/// Replaces instructions one for one; what needs several stands behind the end, with a jump there and one back.
fn meter(code: &mut Instructions<'_>) {
    use Instruction as I;
    let weigh = || I::CallFunction(WEIGH, Some(1));
    let mut at = 0;
    let end = (0..).find(|i| code.get(*i).is_none()).unwrap_or(0);
    // What comes to the template's own end goes on behind all that is added.
    code.add(I::Jump(end + 1));
    while at < end {
        let Some(own) = code.get(at).cloned() else { break };
        let instead = match own {
            I::StringConcat => vec![I::CallFunction(CONCAT, Some(2))],
            I::Add => vec![I::CallFunction(ADD, Some(2))],
            I::Mul => vec![I::CallFunction(MULTIPLY, Some(2))],
            I::EmitRaw(text) => vec![I::LoadConst(Value::from(text)), I::Emit],
            I::BuildList(_) | I::BuildTuple(_) | I::BuildMap(_) => vec![own, weigh()],
            I::ApplyFilter(..) => vec![own, I::CallFunction(MADE, Some(1))],
            // The last is on top, and what is compared takes no longer than the smaller of the two.
            I::Eq | I::Ne | I::Gt | I::Gte | I::Lt | I::Lte | I::In | I::CompareAndPreserve(_) => {
                vec![weigh(), own]
            }
            // A value stands below the namespace that it becomes a part of.
            I::SetAttr(_) => vec![I::Swap, I::CallFunction(SETTLE, Some(1)), I::Swap, own],
            _ => Vec::new(),
        };
        match &instead[..] {
            [] => {}
            [one] => *code.get_mut(at).expect("it was there") = one.clone(),
            _ => {
                // Errors name the line.
                let line = code.get_line(at).map_or(0, |line| line as u16);
                let mut first = None;
                for instruction in instead.into_iter().chain([I::Jump(at + 1)]) {
                    let place = code.add_with_line(instruction, line);
                    first.get_or_insert(place);
                }
                *code.get_mut(at).expect("it was there") = I::Jump(first.unwrap_or(at + 1));
            }
        }
        at += 1;
    }
    let behind = (end..).find(|i| code.get(*i).is_none()).unwrap_or(end);
    *code.get_mut(end).expect("it was added") = I::Jump(behind);
}
