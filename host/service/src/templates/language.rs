//! The part of Jinja that a prompt may be written in.
//!
//! A prompt is rendered with what callers send, so that nothing in it may grow with its input but what is put out, which is bounded:
//! text, `{{ … }}`, `if` and `for`, comparisons, `and`, `or`, `not`, slices and a few filters. There is no assignment, no joining or
//! repeating of texts, no macro and no other template. What goes on for ever runs out of fuel.

use std::collections::BTreeSet;

use minijinja::machinery::ast::{BinOpKind, CallArg, CompareOpKind, Expr, ForLoop, Stmt};
use minijinja::machinery::{Span, Token, parse, tokenize};
use minijinja::syntax::SyntaxConfig;

/// Words and signs within one `{{ … }}` or `{% … %}`: an expression is read as deeply as it is long.
const TOKENS_PER_TAG_MAX: usize = 200;
const TAGS_MAX: usize = 400;
/// `{% … %}`
const BLOCKS_MAX: usize = 150;
const FILTERS: [&str; 7] = ["upper", "lower", "trim", "title", "capitalize", "length", "default"];
const LOOP_MEMBERS: [&str; 5] = ["index", "index0", "first", "last", "length"];

/// Why a text is no prompt: the line (from 1) and what is wrong there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub(super) struct Mistake {
    pub line: usize,
    pub message: String,
}

type Checked = Result<(), Mistake>;

fn mistake<T>(at: Span, message: impl Into<String>) -> Result<T, Mistake> {
    Err(Mistake { line: usize::from(at.start_line), message: message.into() })
}

fn of_engine(error: &minijinja::Error) -> Mistake {
    let what = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    Mistake { line: error.line().unwrap_or(1), message: what }
}

/// Checks a prompt that may name these variables; gives those that it names.
pub(super) fn check(
    source: &str,
    syntax: &SyntaxConfig,
    declared: &BTreeSet<&str>,
) -> Result<BTreeSet<String>, Mistake> {
    check_size(source, syntax)?;
    let parsed = parse(source, "prompt", syntax.clone()).map_err(|error| of_engine(&error))?;
    let mut reader = Reader { declared, bound: Vec::new(), named: BTreeSet::new() };
    match &parsed {
        Stmt::Template(template) => reader.statements(&template.children)?,
        _ => return mistake(Span::default(), "it is no template"),
    }
    Ok(reader.named)
}

/// Bounds what the parser is given, before it goes as deep as that wants.
fn check_size(source: &str, syntax: &SyntaxConfig) -> Checked {
    let (mut tags, mut blocks, mut tokens) = (0, 0, 0);
    for token in tokenize(source, false, syntax.clone()) {
        let (token, at) = token.map_err(|error| of_engine(&error))?;
        match token {
            Token::VariableStart | Token::BlockStart => {
                (tags, tokens) = (tags + 1, 0);
                blocks += usize::from(matches!(token, Token::BlockStart));
            }
            Token::TemplateData(_) | Token::VariableEnd | Token::BlockEnd => {}
            _ => tokens += 1,
        }
        if tokens > TOKENS_PER_TAG_MAX {
            return mistake(at, format!("at most {TOKENS_PER_TAG_MAX} words and signs in one tag"));
        }
        if tags > TAGS_MAX || blocks > BLOCKS_MAX {
            return mistake(at, format!("at most {TAGS_MAX} tags, of which {BLOCKS_MAX} are blocks"));
        }
    }
    Ok(())
}

struct Reader<'d> {
    declared: &'d BTreeSet<&'d str>,
    /// Of the loops around.
    bound: Vec<String>,
    named: BTreeSet<String>,
}

impl Reader<'_> {
    fn statements(&mut self, statements: &[Stmt<'_>]) -> Checked {
        statements.iter().try_for_each(|statement| self.statement(statement))
    }

    fn statement(&mut self, statement: &Stmt<'_>) -> Checked {
        let (at, what) = match statement {
            Stmt::EmitRaw(_) | Stmt::Continue(_) | Stmt::Break(_) => return Ok(()),
            Stmt::EmitExpr(emit) => return self.expression(&emit.expr),
            Stmt::IfCond(condition) => {
                self.expression(&condition.expr)?;
                self.statements(&condition.true_body)?;
                return self.statements(&condition.false_body);
            }
            Stmt::ForLoop(each) => return self.each(each, each.span()),
            Stmt::Template(inner) => (inner.span(), "a template within"),
            Stmt::WithBlock(inner) => (inner.span(), "`with`"),
            Stmt::Set(inner) => (inner.span(), "`set`"),
            Stmt::SetBlock(inner) => (inner.span(), "`set`"),
            Stmt::AutoEscape(inner) => (inner.span(), "`autoescape`"),
            Stmt::FilterBlock(inner) => (inner.span(), "`filter`"),
            Stmt::Block(inner) => (inner.span(), "`block`"),
            Stmt::Import(inner) => (inner.span(), "`import`"),
            Stmt::FromImport(inner) => (inner.span(), "`import`"),
            Stmt::Extends(inner) => (inner.span(), "`extends`"),
            Stmt::Include(inner) => (inner.span(), "`include`"),
            Stmt::Macro(inner) => (inner.span(), "`macro`"),
            Stmt::CallBlock(inner) => (inner.span(), "`call`"),
            Stmt::Do(inner) => (inner.span(), "`do`"),
        };
        mistake(at, format!("{what} is not allowed in a prompt: use `if` and `for`"))
    }

    fn each(&mut self, each: &ForLoop<'_>, at: Span) -> Checked {
        if each.recursive {
            return mistake(at, "a loop may not be recursive");
        }
        let Expr::Var(target) = &each.target else {
            return mistake(at, "a loop has one variable");
        };
        match &each.iter {
            Expr::List(list) if list.as_const().is_some() => {}
            Expr::Call(call) if matches!(&call.expr, Expr::Var(name) if name.id == "range") => {
                self.arguments(&call.args, call.span())?;
            }
            _ => return mistake(at, "a loop goes over `range(…)` or a list of constants"),
        }
        self.bound.push(target.id.to_owned());
        self.bound.push("loop".to_owned());
        each.filter_expr.iter().try_for_each(|filter| self.expression(filter))?;
        self.statements(&each.body)?;
        self.bound.truncate(self.bound.len() - 2);
        self.statements(&each.else_body)
    }

    fn arguments(&mut self, arguments: &[CallArg<'_>], at: Span) -> Checked {
        arguments.iter().try_for_each(|argument| match argument {
            CallArg::Pos(value) | CallArg::Kwarg(_, value) => self.expression(value),
            CallArg::PosSplat(_) | CallArg::KwargSplat(_) => mistake(at, "`*` is not allowed in a prompt"),
        })
    }

    fn expression(&mut self, expression: &Expr<'_>) -> Checked {
        let at = expression.span();
        match expression {
            Expr::Const(_) => Ok(()),
            Expr::Var(name) => self.name(name.id, at),
            Expr::UnaryOp(unary) => self.expression(&unary.expr),
            Expr::BinOp(pair) => {
                let is_allowed = match pair.op {
                    BinOpKind::Eq
                    | BinOpKind::Ne
                    | BinOpKind::Lt
                    | BinOpKind::Lte
                    | BinOpKind::Gt
                    | BinOpKind::Gte
                    | BinOpKind::ScAnd
                    | BinOpKind::ScOr
                    | BinOpKind::In => true,
                    BinOpKind::Add
                    | BinOpKind::Sub
                    | BinOpKind::Mul
                    | BinOpKind::Div
                    | BinOpKind::FloorDiv
                    | BinOpKind::Rem
                    | BinOpKind::Pow
                    | BinOpKind::Concat => false,
                };
                if !is_allowed {
                    return mistake(
                        at,
                        "a prompt does not calculate, nor join texts: write them side by side",
                    );
                }
                self.expression(&pair.left)?;
                self.right_of(matches!(pair.op, BinOpKind::In), &pair.right)
            }
            Expr::Compare(chain) => {
                self.expression(&chain.expr)?;
                chain.ops.iter().try_for_each(|next| {
                    let is_in = matches!(next.op, CompareOpKind::In | CompareOpKind::NotIn);
                    self.right_of(is_in, &next.expr)
                })
            }
            Expr::IfExpr(choice) => {
                let Some(otherwise) = &choice.false_expr else {
                    return mistake(at, "`if` within an expression needs its `else`");
                };
                self.expression(&choice.test_expr)?;
                self.expression(&choice.true_expr)?;
                self.expression(otherwise)
            }
            Expr::Filter(filter) => {
                if !FILTERS.contains(&filter.name) {
                    return mistake(at, format!("the filters of a prompt are {}", FILTERS.join(", ")));
                }
                if filter.name != "default" && !filter.args.is_empty() {
                    return mistake(at, format!("`{}` takes no arguments here", filter.name));
                }
                self.arguments(&filter.args, at)?;
                filter.expr.iter().try_for_each(|value| self.expression(value))
            }
            Expr::Slice(slice) => {
                let bounds = [&slice.start, &slice.stop, &slice.step];
                bounds.into_iter().flatten().try_for_each(|bound| self.expression(bound))?;
                self.expression(&slice.expr)
            }
            Expr::GetAttr(member) => match &member.expr {
                Expr::Var(name) if name.id == "loop" && LOOP_MEMBERS.contains(&member.name) => {
                    self.name(name.id, at)
                }
                _ => mistake(at, format!("only `loop` has members here: {}", LOOP_MEMBERS.join(", "))),
            },
            Expr::Test(_) => {
                mistake(at, "`is` is not needed: every variable has a value, and an empty one is false")
            }
            Expr::GetItem(_) => mistake(at, "no variable has items"),
            Expr::Call(_) => mistake(at, "nothing is called in a prompt but `range`, by a loop"),
            Expr::List(_) | Expr::Tuple(_) | Expr::Map(_) => {
                mistake(at, "a list may only stand behind `in`, and be of constants")
            }
        }
    }

    fn right_of(&mut self, is_in: bool, right: &Expr<'_>) -> Checked {
        match right {
            Expr::List(list) if is_in && list.as_const().is_some() => Ok(()),
            other => self.expression(other),
        }
    }

    fn name(&mut self, name: &str, at: Span) -> Checked {
        if self.bound.iter().any(|bound| bound == name) {
            return Ok(());
        }
        if !self.declared.contains(name) {
            return mistake(at, format!("{name:?} is not among the variables"));
        }
        self.named.insert(name.to_owned());
        Ok(())
    }
}
