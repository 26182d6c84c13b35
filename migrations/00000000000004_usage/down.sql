DROP TABLE reservation;
DROP TABLE budget;
DROP TABLE usage_task;
DROP TABLE usage_day;
