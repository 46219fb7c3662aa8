//! A whole query over rows in memory: the language's plain meaning, and what other ways of
//! answering a query are compared with.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::{Aggregate, Item, ItemValue, Path, Query, Selection, evaluate::order, function};

impl Query {
    /// The answer over `rows` of its source, in their order; groups in the order of their first rows.
    pub fn select(&self, rows: &[Value]) -> Vec<Value> {
        let condition = self.condition.as_ref();
        let kept: Vec<&Value> = rows
            .iter()
            .filter(|row| condition.is_none_or(|condition| condition.matches(row)))
            .collect();
        let top = self
            .top
            .map_or(usize::MAX, |top| usize::try_from(top).unwrap_or(usize::MAX));
        let items = match &self.selection {
            Selection::All => return kept.into_iter().take(top).cloned().collect(),
            Selection::Items(items) => items,
        };
        let groups: Vec<Vec<&Value>> = if !self.group_by.is_empty() {
            groups(&kept, &self.group_by)
        } else if self.is_aggregate() {
            vec![kept]
        } else {
            kept.into_iter().map(|row| vec![row]).collect()
        };
        groups.iter().take(top).map(|group| row(items, group)).collect()
    }
}

fn groups<'a>(rows: &[&'a Value], paths: &[Path]) -> Vec<Vec<&'a Value>> {
    let mut groups: Vec<Vec<&Value>> = Vec::new();
    let mut places: HashMap<Vec<Option<String>>, usize> = HashMap::new();
    for row in rows {
        let key = paths
            .iter()
            .map(|path| path.value(row).map(|value| same(value).to_string()));
        let place = *places.entry(key.collect()).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.push(row),
            None => groups.push(vec![row]),
        }
    }
    groups
}

/// 1 and 1.0 are one value.
fn same(value: &Value) -> Value {
    value
        .as_f64()
        .and_then(function::number)
        .unwrap_or_else(|| value.clone())
}

fn row(items: &[Item], group: &[&Value]) -> Value {
    let mut row = Map::new();
    for item in items {
        let value = match &item.value {
            ItemValue::Expression(expression) => group
                .first()
                .and_then(|row| expression.evaluate(row))
                .map(std::borrow::Cow::into_owned),
            ItemValue::Aggregate(aggregate, path) => aggregate.of(group, path.as_ref()),
        };
        if let Some(value) = value {
            item.place(&mut row, value);
        }
    }
    Value::Object(row)
}

impl Item {
    /// Puts the item's value where its name says.
    pub fn place(&self, row: &mut Map<String, Value>, value: Value) {
        let Some((last, above)) = self.name.split_last() else {
            return;
        };
        let mut object = row;
        for key in above {
            let inner = object.entry(key).or_insert_with(|| Value::Object(Map::new()));
            let Value::Object(inner) = inner else { return };
            object = inner;
        }
        object.insert(last.clone(), value);
    }
}

impl Aggregate {
    fn of(self, rows: &[&Value], path: Option<&Path>) -> Option<Value> {
        let Some(path) = path else {
            return Some(rows.len().into());
        };
        let values: Vec<&Value> = rows.iter().filter_map(|row| path.value(row)).collect();
        let numbers: Vec<f64> = values.iter().filter_map(|value| value.as_f64()).collect();
        let sum = numbers.iter().sum::<f64>();
        let extreme = |wanted| {
            let numbers_only = !numbers.is_empty();
            let of_kind = |value: &&Value| {
                if numbers_only {
                    value.is_number()
                } else {
                    value.is_string()
                }
            };
            let better = |best: &'_ Value, value: &'_ Value| order(value, best) == Some(wanted);
            let values = values.iter().copied().filter(of_kind);
            let best = values.reduce(|best, value| if better(best, value) { value } else { best });
            best.map(same)
        };
        match self {
            Self::Count => Some(values.len().into()),
            Self::Sum | Self::Average if numbers.is_empty() => None,
            Self::Sum => function::number(sum),
            Self::Average => function::number(sum / numbers.len() as f64),
            Self::Least => extreme(std::cmp::Ordering::Less),
            Self::Greatest => extreme(std::cmp::Ordering::Greater),
        }
    }
}
