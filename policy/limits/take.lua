-- Counts one request of KEYS[1] as the counters in memory do.
-- ARGV: now in microseconds or 0 for the server's clock, which all nodes share;
-- limit; the units that it counts for; 1 when it has happened, so that it counts
-- whatever is left, else 0; then nothing for a window of 60 seconds, or interval in microseconds and
-- burst for a bucket.
-- Answers refused (0 or 1), used, remaining, microseconds until a place is free.
local now = tonumber(ARGV[1])
if now == 0 then
  local time = redis.call('TIME')
  now = tonumber(time[1]) * 1000000 + tonumber(time[2])
end
local limit, units, done = tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4] == '1'

if ARGV[5] then
  local interval, burst = tonumber(ARGV[5]), tonumber(ARGV[6])
  local full = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now) + interval * units
  local room = interval * burst - (full - now)
  if room < 0 and not done then
    return {1, 0, 0, -room}
  end
  -- A number joined to a text would lose digits.
  redis.call('SET', KEYS[1], string.format('%.0f', full), 'PX', math.ceil((full - now) / 1000))
  return {0, 0, math.max(math.floor(room / interval), 0), interval - room % interval}
end

local second = math.floor(now / 1000000)
local seconds, total, oldest = redis.call('HGETALL', KEYS[1]), 0, second
for i = 1, #seconds, 2 do
  local at, count = tonumber(seconds[i]), tonumber(seconds[i + 1])
  if at < second - 60 then
    redis.call('HDEL', KEYS[1], seconds[i])
  else
    total, oldest = total + count, math.min(oldest, at)
  end
end
local reset = (oldest + 61) * 1000000 - now
if total + units > limit and not done then
  return {1, total, math.max(limit - total, 0), reset}
end
redis.call('HINCRBY', KEYS[1], string.format('%.0f', second), units)
redis.call('EXPIRE', KEYS[1], 62)
return {0, total, math.max(limit - total - units, 0), reset}
