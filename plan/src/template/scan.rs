//! The names that a template uses, found without running it.
//!
//! minijinja offers the syntax tree as `machinery`, without a promise of stability, so its version is pinned. Its stable
//! function `undeclared_variables` has no positions, no filters and no `steps["ID"]`.

use super::name_use::{NameUse, chain, range};
use super::{FILTERS, FUNCTIONS, TESTS, syntax};
use kirosu_protocol::text::nearest;
use minijinja::machinery::ast::{Call, CallArg, Expr, Stmt};
use minijinja::machinery::{Token, parse, parse_expr, tokenize};
use std::collections::BTreeMap;
use std::ops::Range;

/// The most words and signs of an expression, or of a statement.
const TAG_TOKENS: usize = 300;
/// The most `elif` of a template.
const ELIFS: usize = 100;
/// Names of the context whose values come from agents.
const RESULT_ROOTS: [&str; 4] = ["steps", "prev", "best", "results"];

/// The attribute of a step that is the path of its result.
pub(crate) const FILE: &str = "file";

/// A fault in a template.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TemplateFault {
    pub at: Range<usize>,
    pub message: String,
    pub nearest: Option<String>,
}

/// An expression in `{{ }}` whose value comes from an agent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Insertion {
    pub at: Range<usize>,
    /// The step, or the name of the context, from which the value comes.
    pub origin: String,
    /// Whether the value is cut already.
    pub is_cut: bool,
    /// Whether the value is `steps.ID.result` or `steps.ID.file`, which must exist.
    pub must_exist: bool,
    /// Whether the value is the path of a result, `steps.ID.file`, which is no text of an agent.
    pub is_path: bool,
}

#[derive(Default)]
pub(crate) struct Scanned {
    pub references: Vec<NameUse>,
    pub faults: Vec<TemplateFault>,
    pub insertions: Vec<Insertion>,
}

/// Names that the template itself declares, each with the origin of its value if that comes from an agent.
type NameScope = BTreeMap<String, Option<String>>;

struct Scanner {
    scopes: Vec<NameScope>,
    found: Scanned,
}

/// Examines a template, or an expression.
pub(crate) fn scan(text: &str, is_expression: bool) -> Scanned {
    let mut scanner = Scanner {
        scopes: vec![NameScope::new()],
        found: Scanned::default(),
    };
    if is_expression && (text.contains("{{") || text.contains("{%")) {
        scanner.fault(0..0, "this is an expression: write it without {{ }}", None);
        return scanner.found;
    }
    if let Err((at, message)) = bounded(text, is_expression) {
        scanner.fault(at, message, None);
        return scanner.found;
    }
    let outcome = match is_expression {
        true => parse_expr(text).map(|expr| scanner.expr(&expr)),
        false => parse(text, "template", syntax()).map(|root| scanner.stmt(&root)),
    };
    if let Err(error) = outcome {
        let what = if is_expression {
            "expression"
        } else {
            "template"
        };
        let detail = error
            .detail()
            .map_or_else(|| error.kind().to_string(), str::to_owned);
        let at = error.range().unwrap_or(0..0);
        scanner.fault(at, format!("this is not a valid {what}: {detail}"), None);
    }
    scanner.found
}

/// Refuses what would make the parser, or a walk over the tree, recurse deeply. minijinja bounds parentheses and nested
/// statements itself, but not rows of operators and of `elif`.
fn bounded(text: &str, is_expression: bool) -> Result<(), (Range<usize>, String)> {
    let (mut in_tag, mut elifs) = (0, 0);
    let mut is_start = false;
    for token in tokenize(text, is_expression, syntax()) {
        // The parser reports what is not a token.
        let Ok((token, span)) = token else {
            return Ok(());
        };
        match token {
            Token::TemplateData(_) | Token::VariableEnd | Token::BlockEnd => in_tag = 0,
            Token::Ident("elif") if is_start => elifs += 1,
            _ => in_tag += 1,
        }
        is_start = matches!(token, Token::BlockStart);
        if in_tag > TAG_TOKENS {
            let message = format!("an expression has at most {TAG_TOKENS} words and signs");
            return Err((range(span), message));
        }
        if elifs > ELIFS {
            return Err((range(span), format!("a template has at most {ELIFS} elif")));
        }
    }
    Ok(())
}

impl Scanner {
    fn fault(&mut self, at: Range<usize>, message: impl Into<String>, nearest: Option<&str>) {
        self.found.faults.push(TemplateFault {
            at,
            message: message.into(),
            nearest: nearest.map(str::to_owned),
        });
    }

    fn known(&mut self, at: Range<usize>, kind: &str, name: &str, known: &[&str]) {
        if !known.contains(&name) {
            let near = nearest(name, known.iter().copied());
            self.fault(at, format!("there is no {kind} {name}"), near);
        }
    }

    fn body(&mut self, body: &[Stmt<'_>]) {
        self.scopes.push(NameScope::new());
        body.iter().for_each(|stmt| self.stmt(stmt));
        self.scopes.pop();
    }

    fn declare(&mut self, target: &Expr<'_>, origin: Option<&str>) {
        match target {
            Expr::Var(var) => {
                if let Some(scope) = self.scopes.last_mut() {
                    scope.insert(var.id.to_owned(), origin.map(str::to_owned));
                }
            }
            Expr::List(list) => list
                .items
                .iter()
                .for_each(|item| self.declare(item, origin)),
            Expr::Tuple(tuple) => tuple
                .items
                .iter()
                .for_each(|item| self.declare(item, origin)),
            other => self.expr(other),
        }
    }

    fn stmt(&mut self, stmt: &Stmt<'_>) {
        match stmt {
            Stmt::Template(template) => template.children.iter().for_each(|stmt| self.stmt(stmt)),
            Stmt::EmitRaw(_) => {}
            Stmt::EmitExpr(emit) => {
                self.expr(&emit.expr);
                let insertion = self.insertion(&emit.expr, range(emit.span()));
                self.found.insertions.extend(insertion);
            }
            Stmt::ForLoop(each) => {
                self.expr(&each.iter);
                let origin = self.origin(&each.iter);
                self.scopes
                    .push(NameScope::from([("loop".to_owned(), None)]));
                self.declare(&each.target, origin.as_deref());
                each.filter_expr.iter().for_each(|expr| self.expr(expr));
                each.body.iter().for_each(|stmt| self.stmt(stmt));
                self.scopes.pop();
                self.body(&each.else_body);
            }
            Stmt::IfCond(cond) => {
                self.expr(&cond.expr);
                // minijinja does not scope what `set` declares in a branch.
                cond.true_body.iter().for_each(|stmt| self.stmt(stmt));
                cond.false_body.iter().for_each(|stmt| self.stmt(stmt));
            }
            Stmt::WithBlock(with) => {
                self.scopes.push(NameScope::new());
                for (target, expr) in &with.assignments {
                    self.expr(expr);
                    let origin = self.origin(expr);
                    self.declare(target, origin.as_deref());
                }
                with.body.iter().for_each(|stmt| self.stmt(stmt));
                self.scopes.pop();
            }
            Stmt::Set(set) => {
                self.expr(&set.expr);
                let origin = self.origin(&set.expr);
                self.declare(&set.target, origin.as_deref());
            }
            Stmt::SetBlock(set) => {
                set.filter.iter().for_each(|expr| self.expr(expr));
                self.body(&set.body);
                self.declare(&set.target, None);
            }
            Stmt::FilterBlock(block) => {
                self.expr(&block.filter);
                self.body(&block.body);
            }
            Stmt::AutoEscape(block) => {
                self.fault(range(block.span()), "autoescape is not available", None);
            }
            Stmt::Do(call) => self.call(&call.call, range(call.span())),
        }
    }

    /// The insertion of an expression, if its value comes from an agent or is the path of a result.
    fn insertion(&self, expr: &Expr<'_>, at: Range<usize>) -> Option<Insertion> {
        let named = chain(expr).filter(|it| {
            RESULT_ROOTS.contains(&it.root.as_str())
                && it.path.len() == 2
                && !self.is_local(&it.root)
        });
        let attribute = |name: &str| named.as_ref().is_some_and(|it| it.path[1] == name);
        let is_path = attribute(FILE);
        let origin = match &named {
            Some(named) if is_path => Some(format!("{}.{}", named.root, named.path[0])),
            _ => self.origin(expr),
        };
        Some(Insertion {
            at,
            origin: origin?,
            is_cut: matches!(expr, Expr::Filter(filter) if filter.name == super::CUT),
            must_exist: (is_path || attribute("result"))
                && named.as_ref().is_some_and(|it| it.root == "steps"),
            is_path,
        })
    }

    fn args(&mut self, args: &[CallArg<'_>]) {
        for arg in args {
            match arg {
                CallArg::Pos(expr)
                | CallArg::Kwarg(_, expr)
                | CallArg::PosSplat(expr)
                | CallArg::KwargSplat(expr) => {
                    self.expr(expr);
                }
            }
        }
    }

    fn call(&mut self, call: &Call<'_>, at: Range<usize>) {
        match &call.expr {
            Expr::Var(var) if !self.is_local(var.id) => {
                self.known(at, "function", var.id, &FUNCTIONS)
            }
            Expr::GetAttr(method) => {
                // Only the loop itself has some: `loop.cycle("a", "b")`.
                if chain(&method.expr).is_none_or(|base| base.root != "loop") {
                    let message = format!(
                        "values have no methods, so no {}(): write a filter or a test, such as `x | trim` or `x is startingwith(\"a\")`",
                        method.name
                    );
                    self.fault(at, message, None);
                }
                self.expr(&method.expr);
            }
            other => self.expr(other),
        }
        self.args(&call.args);
    }

    fn is_local(&self, name: &str) -> bool {
        self.scopes.iter().any(|scope| scope.contains_key(name))
    }

    fn expr(&mut self, expr: &Expr<'_>) {
        if let Some(reference) = chain(expr) {
            if !self.is_local(&reference.root) {
                self.found.references.push(reference);
            }
            return;
        }
        match expr {
            Expr::Var(_) | Expr::Const(_) => {}
            Expr::Slice(slice) => {
                self.expr(&slice.expr);
                [&slice.start, &slice.stop, &slice.step]
                    .into_iter()
                    .flatten()
                    .for_each(|expr| self.expr(expr));
            }
            Expr::UnaryOp(op) => self.expr(&op.expr),
            Expr::BinOp(op) => {
                self.expr(&op.left);
                self.expr(&op.right);
            }
            Expr::Compare(compare) => {
                self.expr(&compare.expr);
                compare.ops.iter().for_each(|op| self.expr(&op.expr));
            }
            Expr::IfExpr(cond) => {
                self.expr(&cond.test_expr);
                self.expr(&cond.true_expr);
                cond.false_expr.iter().for_each(|expr| self.expr(expr));
            }
            Expr::Filter(filter) => {
                self.known(range(filter.span()), "filter", filter.name, &FILTERS);
                filter.expr.iter().for_each(|expr| self.expr(expr));
                self.args(&filter.args);
            }
            Expr::Test(test) => {
                self.known(range(test.span()), "test", test.name, &TESTS);
                self.expr(&test.expr);
                self.args(&test.args);
            }
            Expr::GetAttr(get) => self.expr(&get.expr),
            Expr::GetItem(get) => {
                self.expr(&get.expr);
                self.expr(&get.subscript_expr);
            }
            Expr::Call(call) => self.call(call, range(call.span())),
            Expr::List(list) => list.items.iter().for_each(|item| self.expr(item)),
            Expr::Tuple(tuple) => tuple.items.iter().for_each(|item| self.expr(item)),
            Expr::Map(map) => map
                .keys
                .iter()
                .chain(&map.values)
                .for_each(|item| self.expr(item)),
        }
    }

    /// The origin of a value, if it comes from an agent.
    fn origin(&self, expr: &Expr<'_>) -> Option<String> {
        let any = |exprs: &[&Expr<'_>]| exprs.iter().find_map(|expr| self.origin(expr));
        match expr {
            Expr::Var(var) => match self.scopes.iter().rev().find_map(|scope| scope.get(var.id)) {
                Some(origin) => origin.clone(),
                None => RESULT_ROOTS.contains(&var.id).then(|| var.id.to_owned()),
            },
            Expr::GetAttr(get) => self.member_origin(expr, &get.expr),
            Expr::GetItem(get) => self.member_origin(expr, &get.expr),
            Expr::Slice(slice) => self.origin(&slice.expr),
            Expr::Filter(filter) => filter.expr.as_ref().and_then(|expr| self.origin(expr)),
            Expr::BinOp(op) => any(&[&op.left, &op.right]),
            Expr::IfExpr(cond) => any(&[&cond.true_expr])
                .or_else(|| cond.false_expr.as_ref().and_then(|expr| self.origin(expr))),
            Expr::Call(call) => match &call.expr {
                Expr::GetAttr(method) => self.origin(&method.expr),
                _ => None,
            },
            Expr::List(list) => any(&list.items.iter().collect::<Vec<_>>()),
            Expr::Tuple(tuple) => any(&tuple.items.iter().collect::<Vec<_>>()),
            Expr::Map(map) => any(&map.values.iter().collect::<Vec<_>>()),
            Expr::Const(_) | Expr::UnaryOp(_) | Expr::Compare(_) | Expr::Test(_) => None,
        }
    }

    /// The origin of an attribute of a value.
    fn member_origin(&self, expr: &Expr<'_>, of: &Expr<'_>) -> Option<String> {
        let found = chain(expr).filter(|found| {
            found.root != "results"
                && RESULT_ROOTS.contains(&found.root.as_str())
                && !self.is_local(&found.root)
        });
        let Some(found) = found else {
            return self.origin(of);
        };
        // A state or a path is not the text of an agent.
        match (found.path.first(), found.path.get(1).map(String::as_str)) {
            (Some(_), Some("state" | "approved" | FILE)) => None,
            (Some(id), _) => Some(format!("{}.{id}", found.root)),
            (None, _) => self.origin(of),
        }
    }
}
