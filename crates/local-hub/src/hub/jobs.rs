//! Jobs: a method or a twin change on every match of a query, now or later (service.md 6).
