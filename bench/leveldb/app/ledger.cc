// Keeps sums by account in a database: reads "ACCOUNT AMOUNT" lines, adds them up in batches, opens
// the database anew and prints what is in it, in the order of its keys.

#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>

#include "leveldb/db.h"
#include "leveldb/filter_policy.h"
#include "leveldb/value_sink.h"
#include "leveldb/write_batch.h"

namespace {

std::unique_ptr<leveldb::DB> Open(const std::string& folder, const leveldb::FilterPolicy* filter) {
  leveldb::Options options;
  options.create_if_missing = true;
  options.compression = leveldb::kSnappyCompression;
  options.filter_policy = filter;
  leveldb::DB* db = nullptr;
  const leveldb::Status status = leveldb::DB::Open(options, folder, &db);
  if (!status.ok()) {
    std::cerr << status.ToString() << "\n";
    std::exit(1);
  }
  return std::unique_ptr<leveldb::DB>(db);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: ledger FOLDER < ENTRIES\n";
    return 2;
  }
  std::unique_ptr<const leveldb::FilterPolicy> filter(leveldb::NewBloomFilterPolicy(10));
  {
    const std::unique_ptr<leveldb::DB> db = Open(argv[1], filter.get());
    std::string account;
    long amount = 0;
    while (std::cin >> account >> amount) {
      std::string sum;
      leveldb::StringValueSink sink(&sum);
      db->Get(leveldb::ReadOptions(), account, &sink);
      leveldb::WriteBatch batch;
      batch.Put(account, std::to_string(std::atol(sum.c_str()) + amount));
      batch.Put("last", account);
      if (!db->Write(leveldb::WriteOptions(), &batch).ok()) return 1;
    }
    // What is printed comes from a compressed table, not from memory.
    db->CompactRange(nullptr, nullptr);
  }
  const std::unique_ptr<leveldb::DB> db = Open(argv[1], filter.get());
  const std::unique_ptr<leveldb::Iterator> at(db->NewIterator(leveldb::ReadOptions()));
  for (at->SeekToFirst(); at->Valid(); at->Next()) {
    std::cout << at->key().ToString() << " " << at->value().ToString() << "\n";
  }
  return at->status().ok() ? 0 : 1;
}
