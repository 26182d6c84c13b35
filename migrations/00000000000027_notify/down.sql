DROP TABLE notice_due;
DROP TABLE notice;
DROP TABLE notify_target;
