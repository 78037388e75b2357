-- Puts an entry unless what is there is newer: a higher version, or the same one issued later or at the same time.
-- KEYS[1] the entry; ARGV version, issued at (Unix ms), the entry's bytes, when to forget it (Unix ms). 1 when stored.
local there = redis.call('HMGET', KEYS[1], 'v', 'i')
local version, issued = tonumber(there[1]), tonumber(there[2])
if version and issued then
  local new_version, new_issued = tonumber(ARGV[1]), tonumber(ARGV[2])
  if version > new_version or (version == new_version and issued >= new_issued) then
    return 0
  end
end
redis.call('HSET', KEYS[1], 'v', ARGV[1], 'i', ARGV[2], 'b', ARGV[3])
redis.call('PEXPIREAT', KEYS[1], ARGV[4])
return 1
