-- Judges one request, as `judge` in gcra.rs does. KEYS[1] the bucket; ARGV interval, window, now: microseconds.
-- Answers allowed (0 or 1), remaining, microseconds until full, microseconds until one more is allowed.
local interval, window, now = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local tat = tonumber(redis.call('GET', KEYS[1]) or '0')
if tat < now then tat = now end
if tat > now + window then tat = now + window end
local next_tat = tat + interval
local over = next_tat - now - window
if over > 0 then
  return {0, 0, tat - now, over}
end
-- '%.0f': tostring would round to 14 digits.
redis.call('SET', KEYS[1], string.format('%.0f', next_tat), 'PX', math.ceil((next_tat - now) / 1000))
return {1, math.floor(-over / interval), next_tat - now, 0}
