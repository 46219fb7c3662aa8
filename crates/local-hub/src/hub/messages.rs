//! Messages from services to devices, and what became of them (device.md 4, service.md 9).
