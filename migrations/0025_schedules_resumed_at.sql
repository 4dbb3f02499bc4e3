-- Expands: when a schedule was resumed while an occurrence was under way.
ALTER TABLE schedules ADD COLUMN resumed_at timestamptz;

GRANT UPDATE (resumed_at) ON schedules TO balance_service;
