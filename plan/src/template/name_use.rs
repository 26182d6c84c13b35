//! Names of the context with the attributes that follow them.

use minijinja::machinery::Span;
use minijinja::machinery::ast::Expr;
use std::ops::Range;

/// The use of a name of the context.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NameUse {
    pub root: String,
    /// The attributes that follow, as far as they are constant.
    pub path: Vec<String>,
    /// The range in the template, in bytes.
    pub at: Range<usize>,
}

/// The range of a part of a template, in bytes.
pub(super) fn range(span: Span) -> Range<usize> {
    span.start_offset as usize..span.end_offset as usize
}

/// A name with the constant attributes that follow it: `steps.read.json`, `steps["read"]`.
pub(super) fn chain(expr: &Expr<'_>) -> Option<NameUse> {
    match expr {
        Expr::Var(var) => Some(NameUse {
            root: var.id.to_owned(),
            path: Vec::new(),
            at: range(var.span()),
        }),
        Expr::GetAttr(get) => {
            let mut of = chain(&get.expr)?;
            of.path.push(get.name.to_owned());
            of.at.end = range(get.span()).end.max(of.at.end);
            Some(of)
        }
        Expr::GetItem(get) => {
            let Expr::Const(key) = &get.subscript_expr else {
                return None;
            };
            let mut of = chain(&get.expr)?;
            of.path.push(key.value.to_string());
            of.at.end = range(get.span()).end.max(of.at.end);
            Some(of)
        }
        _ => None,
    }
}
