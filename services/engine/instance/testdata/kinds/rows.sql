TRUNCATE kinds;
