DROP TABLE children_wait;
