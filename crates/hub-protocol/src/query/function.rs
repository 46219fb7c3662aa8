//! The functions of conditions and projections, over plain values.

use serde_json::Value;

use super::Operator;

/// What a function answers; anything may be undefined instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Bool,
    Number,
    String,
}

macro_rules! functions {
    ($($function:ident = $name:literal $(| $other:literal)*, $arguments:pat, $kind:ident;)*) => {
        /// A function by its IoT Hub name. Only `IS_DEFINED` is documented for twins, and
        /// `STARTSWITH` and `ARRAY_CONTAINS` are what Azure's own tools use; the others are
        /// those of message routes (service.md 5.4).
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Function { $($function,)* }

        impl Function {
            pub const ALL: &[Self] = &[$(Self::$function,)*];

            pub fn name(self) -> &'static str {
                match self { $(Self::$function => $name,)* }
            }

            /// In any letter case.
            pub fn from_name(name: &str) -> Option<Self> {
                match name.to_ascii_uppercase().as_str() {
                    $($name $(| $other)* => Some(Self::$function),)*
                    _ => None,
                }
            }

            pub fn takes(self, arguments: usize) -> bool {
                match self { $(Self::$function => matches!(arguments, $arguments),)* }
            }

            pub fn kind(self) -> Kind {
                match self { $(Self::$function => Kind::$kind,)* }
            }
        }
    };
}

functions! {
    IsDefined = "IS_DEFINED", 1, Bool;
    IsNull = "IS_NULL", 1, Bool;
    IsBool = "IS_BOOL", 1, Bool;
    IsNumber = "IS_NUMBER", 1, Bool;
    IsString = "IS_STRING", 1, Bool;
    IsPrimitive = "IS_PRIMITIVE", 1, Bool;
    IsArray = "IS_ARRAY", 1, Bool;
    IsObject = "IS_OBJECT", 1, Bool;
    StartsWith = "STARTSWITH" | "STARTS_WITH", 2, Bool;
    EndsWith = "ENDSWITH" | "ENDS_WITH", 2, Bool;
    Contains = "CONTAINS", 2, Bool;
    ArrayContains = "ARRAY_CONTAINS", 2, Bool;
    Concat = "CONCAT", 2..=32, String;
    Lower = "LOWER", 1, String;
    Upper = "UPPER", 1, String;
    Substring = "SUBSTRING", 2..=3, String;
    Length = "LENGTH", 1, Number;
    IndexOf = "INDEX_OF", 2, Number;
    Abs = "ABS", 1, Number;
    Exp = "EXP", 1, Number;
    Power = "POWER", 2, Number;
    Square = "SQUARE", 1, Number;
    Ceiling = "CEILING", 1, Number;
    Floor = "FLOOR", 1, Number;
    Sign = "SIGN", 1, Number;
    Sqrt = "SQRT", 1, Number;
    AsNumber = "AS_NUMBER", 1, Number;
}

impl Function {
    /// `None` stands for undefined, given and answered: an argument of another type than the
    /// function works on makes the answer undefined, except for `IS_…`, which say so.
    /// The number of arguments is one the function [`takes`](Self::takes).
    pub fn call(self, arguments: &[Option<&Value>]) -> Option<Value> {
        let first = arguments.first().copied().flatten();
        let text = |index: usize| arguments.get(index).copied().flatten()?.as_str();
        let float = |index: usize| arguments.get(index).copied().flatten()?.as_f64();
        let texts = || Some((text(0)?, text(1)?));
        let is = |test: fn(&Value) -> bool| Some(Value::Bool(first.is_some_and(test)));
        match self {
            Self::IsDefined => is(|_| true),
            Self::IsNull => is(Value::is_null),
            Self::IsBool => is(Value::is_boolean),
            Self::IsNumber => is(Value::is_number),
            Self::IsString => is(Value::is_string),
            Self::IsPrimitive => is(|value| !value.is_array() && !value.is_object()),
            Self::IsArray => is(Value::is_array),
            Self::IsObject => is(Value::is_object),
            Self::StartsWith => texts().map(|(text, part)| text.starts_with(part).into()),
            Self::EndsWith => texts().map(|(text, part)| text.ends_with(part).into()),
            Self::Contains => texts().map(|(text, part)| text.contains(part).into()),
            Self::ArrayContains => {
                let array = first?.as_array()?;
                let wanted = arguments.get(1).copied().flatten()?;
                Some(array.iter().any(|value| equal(value, wanted)).into())
            }
            Self::Concat => {
                let parts = (0..arguments.len()).map(text);
                parts.collect::<Option<String>>().map(Value::String)
            }
            Self::Lower => Some(text(0)?.to_lowercase().into()),
            Self::Upper => Some(text(0)?.to_uppercase().into()),
            Self::Substring => {
                let start = place(float(1)?)?;
                let length = match arguments.len() {
                    2 => usize::MAX,
                    _ => place(float(2)?)?,
                };
                Some(text(0)?.chars().skip(start).take(length).collect::<String>().into())
            }
            Self::Length => Some(text(0)?.chars().count().into()),
            Self::IndexOf => {
                let (text, part) = texts()?;
                let found = text.find(part).map(|at| text[..at].chars().count());
                Some(found.map_or(Value::from(-1), Value::from))
            }
            Self::Abs => number(float(0)?.abs()),
            Self::Exp => number(float(0)?.exp()),
            Self::Power => number(float(0)?.powf(float(1)?)),
            Self::Square => number(float(0)?.powi(2)),
            Self::Ceiling => number(float(0)?.ceil()),
            Self::Floor => number(float(0)?.floor()),
            Self::Sign => float(0).and_then(|value| number(if value == 0.0 { 0.0 } else { value.signum() })),
            Self::Sqrt => number(float(0)?.sqrt()),
            Self::AsNumber => match first? {
                Value::Number(_) => first.cloned(),
                Value::String(text) => number(text.trim().parse().ok()?),
                _ => None,
            },
        }
    }
}

/// From left to right; undefined as soon as something is no number.
pub fn arithmetic<'a>(
    first: Option<&Value>,
    rest: impl Iterator<Item = (Operator, Option<&'a Value>)>,
) -> Option<Value> {
    let mut result = first?.as_f64()?;
    for (operator, value) in rest {
        result = operator.apply(result, value?.as_f64()?)?;
    }
    number(result)
}

/// Whole numbers are written without a fraction; what is not finite is undefined.
pub fn number(value: f64) -> Option<Value> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if value.fract() == 0.0 && value.abs() <= EXACT {
        return Some(Value::from(value as i64));
    }
    serde_json::Number::from_f64(value).map(Value::Number)
}

/// Equality of primitives of one type; everything else is unequal here.
pub(super) fn equal(left: &Value, right: &Value) -> bool {
    super::evaluate::order(left, right) == Some(std::cmp::Ordering::Equal)
}

/// A place in a text, counted in characters from 0.
fn place(value: f64) -> Option<usize> {
    (value.fract() == 0.0 && (0.0..=1e9).contains(&value)).then_some(value as usize)
}
