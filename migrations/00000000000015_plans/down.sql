DROP TABLE plan_source_piece;
DROP TABLE plan_source;
DROP TABLE plan_item;
DROP TABLE plan_step;
DROP TABLE plan_run;
